"""Paths of media files without the names of people.

Files and directories are often named after people. A corpus therefore stores a path
with a `*` for each part that may be a name, and `find_file` finds the file again.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".flv", ".ts", ".3gp"}
)
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".avif", ".heic", ".heif"}
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES
HIDDEN = "*"
_DIGITS = re.compile(r"[0-9]+")
# Parts that are no names: words of the downloading tools, and short numbers.
_PLAIN = re.compile(
    r"(?:videos?|slides?|images?|imgs?|photos?|pictures?|media|tiktok|download(?:s|ed)?"
    r"|(?<![0-9])[0-9]{1,4}(?![0-9])|[ _.\-])*",
    re.IGNORECASE,
)


def find_file(media_root: Path, relative: str) -> Path | None:
    """Returns the file of a media path, hidden or complete; None if there is none."""
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts or "\0" in relative:
        return None
    path = media_root / parts
    try:
        if not path.is_file() and HIDDEN in relative:
            match = _hidden_files(media_root).get(relative)
            path = path if match is None else media_root / match
        # Not a pipe or a device, which could not be read to an end.
        return path if path.is_file() else None
    except OSError:  # the name is too long for the file system
        return None


def media_below(root: Path) -> Iterator[PurePosixPath]:
    """Yields the paths of all media files below a directory, relative to it."""
    return (path for path in _walk(root) if path.suffix.lower() in MEDIA_SUFFIXES)


def hidden_paths(
    paths: Iterable[PurePosixPath],
) -> Iterator[tuple[PurePosixPath, str, str]]:
    """Yields each path that may contain a name, an id in it, and the path to store.

    Files that differ only in names are numbered in the order of their paths.
    """
    counts: Counter[str] = Counter()
    for path in sorted(paths, key=nearness):
        for video_id in sorted({*digit_runs(path), *_DIGITS.findall(path.parent.name)}):
            hidden = _hide_names(path, video_id)
            if HIDDEN in hidden:
                counts[hidden] += 1
                number = counts[hidden]
                yield path, video_id, hidden if number == 1 else f"{hidden}*{number}"


def digit_runs(path: PurePosixPath) -> list[str]:
    """Returns the runs of digits in the stem of a file name, which may be video ids."""
    return _DIGITS.findall(path.stem)


def nearness(path: PurePosixPath) -> tuple[int, str]:
    """Returns a sort key that orders paths near the root first."""
    return len(path.parts), str(path)


@lru_cache(maxsize=2)
def _hidden_files(root: Path) -> dict[str, PurePosixPath]:
    return {hidden: path for path, _, hidden in hidden_paths(media_below(root))}


def _hide_names(path: PurePosixPath, video_id: str) -> str:
    """Returns a path with a * in place of each part that may be a name."""
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


def _walk(root: Path) -> Iterator[PurePosixPath]:
    for directory, names, files in os.walk(root):
        names.sort()
        relative = PurePosixPath(Path(directory).relative_to(root).as_posix())
        yield from (relative / name for name in sorted(files))
