"""Finds the media of posts by video id, in one walk over a directory tree.

A file belongs to the post whose id is a whole run of digits in its stem:

    7158770364560491178.mp4, @someone_video_7158770364560491178.mp4    the video
    …7158770364560491178_slide_1.jpeg, 7158770364560491178_2.jpg       a slide
    7158770364560491178/1.jpg, 7158770364560491178/2.jpg               slides

An image without a number behind the id is a cover and is left alone. Ids come from
exports and are never used as paths: only what the walk finds is compared with them.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".flv", ".ts", ".3gp"}
)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

_DIGITS = re.compile(r"[0-9]+")


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
    # One group a directory: slides of one post that lie in two places are two copies.
    slides: defaultdict[PurePosixPath, list[PurePosixPath]] = field(
        default_factory=lambda: defaultdict(list)
    )


def attach_media(
    videos: Iterable[Video], media_root: Path
) -> tuple[list[Video], MediaReport]:
    """Fills `media_path` and `slide_paths` from what lies under `media_root`.

    A post that its export calls a slideshow gets its slides, any other its video file,
    and slides where there is no video file. Of several candidates the one nearest to
    the root is taken, then the first by name.

    Args:
        videos: the records; media paths that they have are replaced.
        media_root: the directory to walk, links to files included.

    Returns:
        The records in the same order, and what was found.

    Raises:
        DataError: `media_root` is not a directory.
    """
    if not media_root.is_dir():
        raise DataError(
            f"`media_root` must be a directory. Received: media_root={media_root}"
        )
    videos = list(videos)
    found = _find(media_root, {video.video_id for video in videos})
    attached = [_attach(video, found.get(video.video_id)) for video in videos]
    report = MediaReport(
        with_video=sum(video.media_path is not None for video in attached),
        with_slides=sum(bool(video.slide_paths) for video in attached),
        without=sum(
            video.media_path is None and not video.slide_paths for video in attached
        ),
        ambiguous=sum(
            len(candidates.videos) > 1 or len(candidates.slides) > 1
            for candidates in found.values()
        ),
    )
    return attached, report


def _attach(video: Video, candidates: _Candidates | None) -> Video:
    if candidates is None:
        return replace(video, media_path=None, slide_paths=())
    path = min(candidates.videos, key=_nearness, default=None)
    group = min(candidates.slides, key=_nearness, default=None)
    if group is not None and (video.is_slideshow or path is None):
        slides = sorted(candidates.slides[group], key=_natural)
        return replace(video, media_path=None, slide_paths=tuple(map(str, slides)))
    return replace(video, media_path=str(path), slide_paths=())


def _find(root: Path, wanted: set[str]) -> dict[str, _Candidates]:
    found: defaultdict[str, _Candidates] = defaultdict(_Candidates)
    for path in _walk(root):
        suffix = path.suffix.lower()
        runs = _DIGITS.findall(path.stem)
        video_id = next((run for run in runs if run in wanted), None)
        if suffix in VIDEO_SUFFIXES and video_id is not None:
            found[video_id].videos.append(path)
        elif suffix in IMAGE_SUFFIXES:
            if video_id is not None and runs[-1] != video_id:
                found[video_id].slides[path.parent].append(path)
            elif video_id is None and path.parent.name in wanted:
                found[path.parent.name].slides[path.parent].append(path)
    return dict(found)


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
