"""Finds the input files of an import: paths, glob patterns and directories."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dc_keras.corpus.store import INFO_FILE, VIDEOS_FILE
from dc_keras.errors import DataError
from tfrecords.media_paths import MEDIA_SUFFIXES

_TRUTH_FILE = "truth.json"
_GLOB_CHARACTERS = frozenset("*?[")


def find_files(inputs: Sequence[str]) -> list[Path]:
    """Returns the files of all inputs, sorted, without repeats.

    A directory stands for all files below it, except hidden ones, images and videos.
    Files of a corpus are left out: their identities are pseudonyms already.

    Args:
        inputs: paths, glob patterns (`**` for any depth) or directories.

    Raises:
        DataError: there is no input, or an input matches no file that can be imported.
    """
    if not inputs:
        raise DataError("`input` must have at least one value. Received: input=[]")
    files: dict[Path, None] = {}
    for pattern in inputs:
        path = Path(pattern).expanduser()
        if path.is_dir():
            found = list(_below(path))
            problem = "`input` must contain a file that is not an image or a video"
        else:
            found = [path] if path.is_file() else sorted(_glob(path))
            problem = "`input` must match a file"
        others = [file for file in found if not _is_corpus(file.parent)]
        if found and not others:
            problem = "`input` must be an export, and not a corpus"
        if not others:
            raise DataError(f"{problem}. Received: input={pattern}")
        files.update(dict.fromkeys(others))
    return sorted(files)


def are_simulated(files: Iterable[Path]) -> bool:
    """Returns whether a file has the truth of a world of `simulate` beside it."""
    places = {file.parent / _TRUTH_FILE for file in files}
    return any(_is_truth(place) for place in places if place.is_file())


def _is_truth(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:  # another file of this name
        return False
    return isinstance(content, dict) and content.get("synthetic") is True


def _is_corpus(directory: Path) -> bool:
    return (directory / INFO_FILE).exists() and (directory / VIDEOS_FILE).exists()


def _below(directory: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            is_media = path.suffix.lower() in MEDIA_SUFFIXES
            if not name.startswith(".") and not is_media and path.is_file():
                yield path


def _glob(pattern: Path) -> Iterator[Path]:
    parts = pattern.parts
    fixed = next(
        (i for i, part in enumerate(parts) if _GLOB_CHARACTERS & set(part)), None
    )
    if fixed is None:
        return iter(())
    base = Path(*parts[:fixed])
    return (p for p in base.glob(str(Path(*parts[fixed:]))) if p.is_file())
