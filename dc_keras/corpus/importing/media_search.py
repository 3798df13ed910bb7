"""Finds the media files of posts by video id, in one walk over a directory tree.

A file belongs to a post if a run of digits in its stem, or the name of its directory,
is the id of the post:

    7158770364560491178.mp4, @someone_video_7158770364560491178.mp4    the video
    …7158770364560491178_slide_1.jpeg, 7158770364560491178_2.jpg       a slide
    7158770364560491178/1.jpg, 7158770364560491178/2.jpg               slides

An image without a number after the id is the slide of a slideshow that has no other
slides; otherwise it is a cover and is ignored. Ids come from exports and are never used
as paths: they are only compared with the files that the walk finds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import polars as pl

from dc_keras.errors import DataError
from tfrecords.media_paths import (
    VIDEO_SUFFIXES,
    digit_runs,
    hidden_paths,
    media_below,
    nearness,
)


@dataclass(frozen=True, slots=True)
class MediaReport:
    """Numbers of posts: with a video, with slides, with neither, with several files."""

    with_video: int = 0
    with_slides: int = 0
    without: int = 0
    ambiguous: int = 0


@dataclass(slots=True)
class _Candidates:
    videos: list[PurePosixPath] = field(default_factory=list)
    covers: list[PurePosixPath] = field(default_factory=list)
    # Grouped by directory: slides of one post in two directories are two copies.
    slides: defaultdict[PurePosixPath, list[PurePosixPath]] = field(
        default_factory=lambda: defaultdict(list)
    )


class MediaIndex:
    """The media files below a directory, by the id of the post.

    A slideshow gets its slides. Any other post gets its video file, or slides if it has
    no video file. Among several candidates, the one nearest to the root is taken, then
    the first by name.

    Args:
        media_root: the directory to walk, following links to files.
        ids_among: returns which of the given runs of digits are ids of posts.

    Attributes:
        report: counts of the media attached so far.

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
        paths = list(media_below(media_root))
        hidden = {(path, run): name for path, run, name in hidden_paths(paths)}
        found = _find_candidates(paths, ids_among)
        self._chosen = _choose_media(found, hidden)
        is_ambiguous = (len(c.videos) > 1 or len(c.slides) > 1 for c in found.values())
        self.report = MediaReport(ambiguous=sum(is_ambiguous))

    def attach(self, table: pl.DataFrame) -> pl.DataFrame:
        """Returns posts, each given once only, with the paths of the files found."""
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


def _choose_media(
    found: Mapping[str, _Candidates], hidden: Mapping[tuple[PurePosixPath, str], str]
) -> pl.DataFrame:
    rows = []
    for video_id, candidates in found.items():
        path = min(candidates.videos, key=nearness, default=None)
        group = min(candidates.slides, key=nearness, default=None)
        slides = (
            []
            if group is None
            else sorted(candidates.slides[group], key=_natural_sort_key)
        )
        cover = min(candidates.covers, key=nearness, default=None)
        given = [found for found in (path, cover, *slides) if found is not None]
        kept = {found: hidden.get((found, video_id), str(found)) for found in given}
        best = [None if found is None else kept[found] for found in (path, cover)]
        rows.append((video_id, *best, [kept[slide] for slide in slides]))
    columns = dict.fromkeys(("video_id", "path", "cover"), pl.String())
    schema = pl.Schema({**columns, "slides": pl.List(pl.String())})
    return pl.DataFrame(rows, schema=schema, orient="row")


def _find_candidates(
    paths: Sequence[PurePosixPath], ids_among: Callable[[set[str]], set[str]]
) -> dict[str, _Candidates]:
    names = (name for path in paths for name in (*digit_runs(path), path.parent.name))
    wanted = ids_among(set(names))
    found: defaultdict[str, _Candidates] = defaultdict(_Candidates)
    for path in paths:
        runs = digit_runs(path)
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


def _natural_sort_key(path: PurePosixPath) -> tuple[list[int | str], str]:
    """Returns a sort key that puts slide_2 before slide_10."""
    pieces = re.split(r"([0-9]+)", path.name)
    numbered = [int(x) if i % 2 else x for i, x in enumerate(pieces)]
    return numbered, path.name
