"""Finds the media of posts by video id, in one walk over a directory tree.

A file belongs to the post whose id is a whole run of digits in its stem:

    7158770364560491178.mp4, @someone_video_7158770364560491178.mp4    the video
    …7158770364560491178_slide_1.jpeg, 7158770364560491178_2.jpg       a slide
    7158770364560491178/1.jpg, 7158770364560491178/2.jpg               slides

An image without a number behind the id is the slide of a post that is a series of
images and has no other, and else a cover, which is left alone. Ids come from
exports and are never used as paths: only what the walk finds is compared with them.

Files and directories are often named after people. A corpus therefore keeps a path with
a * for whatever may be a name, and `find_file` finds the file again.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import polars as pl

from dc_keras.errors import DataError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".flv", ".ts", ".3gp"}
)
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".avif", ".heic", ".heif"}
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES

_DIGITS = re.compile(r"[0-9]+")
# What names nobody: words of the tools that download, and short numbers.
_PLAIN = re.compile(
    r"(?:videos?|slides?|images?|imgs?|photos?|pictures?|media|tiktok|download(?:s|ed)?"
    r"|(?<![0-9])[0-9]{1,4}(?![0-9])|[ _.\-])*",
    re.IGNORECASE,
)
HIDDEN = "*"


@dataclass(frozen=True, slots=True)
class MediaReport:
    """What an attachment found.

    Attributes:
        with_video: posts with a video file.
        with_slides: posts with slides.
        without: posts with neither.
        ambiguous: posts with more than one candidate, of which the first was taken.
    """

    with_video: int = 0
    with_slides: int = 0
    without: int = 0
    ambiguous: int = 0


@dataclass(slots=True)
class _Candidates:
    videos: list[PurePosixPath] = field(default_factory=list)
    covers: list[PurePosixPath] = field(default_factory=list)
    # One group a directory: slides of one post that lie in two places are two copies.
    slides: defaultdict[PurePosixPath, list[PurePosixPath]] = field(
        default_factory=lambda: defaultdict(list)
    )


class MediaIndex:
    """What lies under a media root, by the id of the post.

    A post that its export calls a slideshow gets its slides, any other its video file,
    and slides where there is no video file. Of several candidates the one nearest to
    the root is taken, then the first by name.

    Args:
        media_root: the directory to walk, links to files included.
        ids_among: returns those of some runs of digits that are ids of posts.

    Attributes:
        report: what the posts attached so far were given.

    Raises:
        DataError: `media_root` is not a directory.
    """

    def __init__(
        self, media_root: Path, ids_among: Callable[[set[str]], set[str]]
    ) -> None:
        if not media_root.is_dir():
            raise DataError(
                f"`media_root` must be a directory. Received: media_root={media_root}"
            )
        paths = list(_media_below(media_root))
        hidden = {(path, run): name for path, run, name in _hidden_paths(paths)}
        found = _find(paths, ids_among)
        self._chosen = _choices(found, hidden)
        is_ambiguous = (len(c.videos) > 1 or len(c.slides) > 1 for c in found.values())
        self.report = MediaReport(ambiguous=sum(is_ambiguous))

    def attach(self, table: pl.DataFrame) -> pl.DataFrame:
        """Returns posts with `media_path` and `slide_paths` replaced by what is there.

        Args:
            table: the fields of `Video`; no post may be given twice.
        """
        joined = table.join(
            self._chosen, on="video_id", how="left", maintain_order="left"
        )
        has_slides = pl.col("slides").list.len() > 0
        is_one_slide = pl.col("is_slideshow") & pl.col("cover").is_not_null()
        joined = joined.with_columns(
            pl.when(is_one_slide & ~has_slides.fill_null(False))
            .then(pl.concat_list("cover"))
            .otherwise("slides")
            .alias("slides")
        )
        takes_slides = has_slides & (pl.col("is_slideshow") | pl.col("path").is_null())
        attached = joined.with_columns(
            pl.when(takes_slides).then(None).otherwise("path").alias("media_path"),
            pl.when(takes_slides)
            .then("slides")
            .otherwise(pl.lit([], dtype=pl.List(pl.String)))
            .alias("slide_paths"),
        ).select(table.columns)
        with_video = attached["media_path"].count()
        with_slides = int((attached["slide_paths"].list.len() > 0).sum())
        self.report = replace(
            self.report,
            with_video=self.report.with_video + with_video,
            with_slides=self.report.with_slides + with_slides,
            without=self.report.without + table.height - with_video - with_slides,
        )
        return attached


def hide_known_names(table: pl.DataFrame) -> pl.DataFrame:
    """Returns posts, the fields of `Video`, without names in the paths of media."""

    def hide(paths: Iterable[str], video_id: str) -> list[str]:
        given = list(map(PurePosixPath, paths))
        hidden = {
            path: name for path, run, name in _hidden_paths(given) if run == video_id
        }
        return [hidden.get(path, str(path)) for path in given]

    has_media = pl.col("media_path").is_not_null() | (
        pl.col("slide_paths").list.len() > 0
    )
    if table.filter(has_media).is_empty():
        return table
    ids = table["video_id"]
    paths = [
        p and hide([p], v)[0] for v, p in zip(ids, table["media_path"], strict=True)
    ]
    slides = [hide(s, v) for v, s in zip(ids, table["slide_paths"], strict=True)]
    return table.with_columns(
        pl.Series("media_path", paths, dtype=pl.String),
        pl.Series("slide_paths", slides, dtype=pl.List(pl.String)),
    )


def find_file(media_root: Path, relative: str) -> Path | None:
    """Returns the file that a media path of a corpus means; None for none.

    Args:
        media_root: where the path begins.
        relative: as the corpus keeps it, or in full.
    """
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts or "\0" in relative:
        return None
    path = media_root / parts
    try:
        if not path.is_file() and HIDDEN in relative:
            found = _hidden_files(media_root).get(relative)
            path = path if found is None else media_root / found
        # A pipe or a device would never end.
        return path if path.is_file() else None
    except OSError:  # a name longer than the file system takes
        return None


@lru_cache(maxsize=2)
def _hidden_files(root: Path) -> dict[str, PurePosixPath]:
    """Returns the files below a root by the paths that hide their names."""
    return {hidden: path for path, _, hidden in _hidden_paths(_media_below(root))}


def _hidden_paths(
    paths: Iterable[PurePosixPath],
) -> Iterator[tuple[PurePosixPath, str, str]]:
    """Yields each path that may name somebody, an id that is in it, and what is kept.

    Files that differ in names alone are told apart by a number, in their order.
    """
    counts: Counter[str] = Counter()
    for path in sorted(paths, key=_nearness):
        for video_id in sorted({*_runs(path), *_DIGITS.findall(path.parent.name)}):
            hidden = _hide_names(path, video_id)
            if HIDDEN in hidden:
                counts[hidden] += 1
                number = counts[hidden]
                yield path, video_id, hidden if number == 1 else f"{hidden}*{number}"


def _hide_names(path: PurePosixPath, video_id: str) -> str:
    """Returns a path with a * for whatever may be the name of somebody."""
    is_media = path.suffix.lower() in MEDIA_SUFFIXES
    parts = [*path.parent.parts, path.stem if is_media else path.name]
    hidden = [_hide(part, video_id) for part in parts]
    return "/".join(hidden) + (path.suffix if is_media else "")


def _hide(part: str, video_id: str) -> str:
    pieces = re.split(rf"(?<![0-9])({re.escape(video_id)})(?![0-9])", part)
    return "".join(
        piece if piece == video_id or _PLAIN.fullmatch(piece) else HIDDEN
        for piece in pieces
    )


def _choices(
    found: Mapping[str, _Candidates], hidden: Mapping[tuple[PurePosixPath, str], str]
) -> pl.DataFrame:
    """Returns the best video file and the best slides of each post."""
    rows = []
    for video_id, candidates in found.items():
        path = min(candidates.videos, key=_nearness, default=None)
        group = min(candidates.slides, key=_nearness, default=None)
        slides = [] if group is None else sorted(candidates.slides[group], key=_natural)
        cover = min(candidates.covers, key=_nearness, default=None)
        given = [found for found in (path, cover, *slides) if found is not None]
        kept = {found: hidden.get((found, video_id), str(found)) for found in given}
        best = [None if found is None else kept[found] for found in (path, cover)]
        rows.append((video_id, *best, [kept[slide] for slide in slides]))
    columns = dict.fromkeys(("video_id", "path", "cover"), pl.String())
    schema = pl.Schema({**columns, "slides": pl.List(pl.String())})
    return pl.DataFrame(rows, schema=schema, orient="row")


def _find(
    paths: Sequence[PurePosixPath], ids_among: Callable[[set[str]], set[str]]
) -> dict[str, _Candidates]:
    names = (name for path in paths for name in (*_runs(path), path.parent.name))
    wanted = ids_among(set(names))
    found: defaultdict[str, _Candidates] = defaultdict(_Candidates)
    for path in paths:
        runs = _runs(path)
        video_id = next((run for run in runs if run in wanted), None)
        if path.suffix.lower() in VIDEO_SUFFIXES:
            if video_id is not None:
                found[video_id].videos.append(path)
        elif video_id is not None and runs[-1] != video_id:
            found[video_id].slides[path.parent].append(path)
        elif video_id is not None:
            found[video_id].covers.append(path)
        elif path.parent.name in wanted:
            found[path.parent.name].slides[path.parent].append(path)
    return dict(found)


def _runs(path: PurePosixPath) -> list[str]:
    return _DIGITS.findall(path.stem)


def _media_below(root: Path) -> Iterator[PurePosixPath]:
    return (path for path in _walk(root) if path.suffix.lower() in MEDIA_SUFFIXES)


def _walk(root: Path) -> Iterator[PurePosixPath]:
    for directory, names, files in os.walk(root):
        names.sort()
        relative = PurePosixPath(Path(directory).relative_to(root).as_posix())
        yield from (relative / name for name in sorted(files))


def _nearness(path: PurePosixPath) -> tuple[int, str]:
    return len(path.parts), str(path)


def _natural(path: PurePosixPath) -> tuple[list[int | str], str]:
    """Sorts slide_2 before slide_10."""
    pieces = re.split(r"([0-9]+)", path.name)
    numbered = [int(x) if i % 2 else x for i, x in enumerate(pieces)]
    return numbered, path.name
