"""Atomic updates of several files of a directory.

New versions are written into a separate directory. A single rename commits them; then
each replaces the old file. If the process is killed before the rename, the old files
stay; if it is killed after the rename, the next process that opens the directory
completes the update (`finish_update`). SHA256SUMS is updated with the files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import polars as pl

from tfrecords.errors import DataError
from tfrecords.storage.checksums import (
    SUMS_FILE,
    hash_file,
    read_sums,
    write_sealed_file,
    write_sums,
)

STAGED = ".next"
_DECIDED = ".switch"


class AtomicUpdate:
    """Context manager that replaces several files of a directory with `commit`.

    Leaving the context without `commit` discards the new versions.

    Args:
        directory: Directory of the files, created if missing.
        seals: Whether to create SHA256SUMS if the directory has none. An existing one
            is always updated.
    """

    def __init__(self, directory: Path, *, seals: bool = True) -> None:
        finish_update(directory)
        self._directory, self._seals = directory, seals
        self._staged = directory / STAGED
        # Left by a killed process; locks prevent concurrent writers.
        shutil.rmtree(self._staged, ignore_errors=True)
        self._staged.mkdir(parents=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._staged, ignore_errors=True)

    def path(self, name: str) -> Path:
        """Returns the path to which to write the new version of a file."""
        path = self._staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self, name: str) -> None:
        """Removes a file with the update, if it exists."""
        self.path(name).touch()  # an empty file marks a removal

    def commit(self, others: Mapping[str, str] | None = None) -> None:
        """Replaces the files and updates SHA256SUMS.

        Args:
            others: Hexadecimal sha256, by name, of all other files for SHA256SUMS;
                None to keep its present entries.
        """
        self._stage_sums(others)
        for path in self._staged.rglob("*"):
            if path.is_file():
                _flush(path)
        self._staged.rename(self._directory / _DECIDED)
        finish_update(self._directory)

    def _stage_sums(self, others: Mapping[str, str] | None) -> None:
        if others is None:
            others = read_sums(self._directory / SUMS_FILE)
        if others is None and not self._seals:
            return
        sums = dict(others or {})
        for path in self._staged.rglob("*"):
            name = path.relative_to(self._staged).as_posix()
            if path.is_file() and path.stat().st_size:
                sums[name] = hash_file(path)
            elif path.is_file():
                sums.pop(name, None)
        if sums:
            write_sums(self.path(SUMS_FILE), sums)
        else:
            self.remove(SUMS_FILE)


def finish_update(directory: Path) -> None:
    """Completes a committed update of a directory, if there is one.

    Several processes may do so at the same time; each file is renamed by one of them.
    """
    decided = directory / _DECIDED
    if not decided.is_dir():
        return
    inside = sorted(decided.rglob("*"), reverse=True)
    for path in inside:
        if not path.is_dir():
            _put_in_place(path, directory / path.relative_to(decided))
    # Removes empty directories only: another process may have committed a new update.
    for path in (*(path for path in inside if path.is_dir()), decided):
        try:
            path.rmdir()
        except OSError:
            return


def _put_in_place(path: Path, target: Path) -> None:
    try:
        if path.stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        else:
            target.unlink(missing_ok=True)
            path.unlink()
    except FileNotFoundError:
        pass  # another process has moved it


def _flush(path: Path) -> None:
    # Flushed before the commit, so that a power cut cannot leave an incomplete file.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) atomically."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes a Parquet file atomically."""
    with _replacing(path) as temporary:
        table.write_parquet(temporary, compression="zstd")


def require_separate(path: Path) -> None:
    """Checks that a file to be written is no part of an artifact.

    Raises:
        DataError: A directory above lists it in SHA256SUMS.
    """
    place = path.absolute()
    for directory in place.parents:
        sums = read_sums(directory / SUMS_FILE) or {}
        if place.relative_to(directory).as_posix() in sums:
            raise DataError(
                f"{path} is part of the artifact in {directory}, which would be "
                "destroyed; give another --output"
            )


def write_answers(path: Path, text: str) -> None:
    """Writes a text file that is a separate artifact, and its NAME.sha256.

    Raises:
        DataError: The existing file is part of another artifact.
    """
    require_separate(path)
    write_sealed_file(path, lambda place: write_text(place, text))


def write_sealed(path: Path, text: str, *, seals: bool = False) -> None:
    """Writes a text file (UTF-8) of an artifact and updates its SHA256SUMS.

    Args:
        path: Path of the file; no other process may write its directory.
        text: Content of the file.
        seals: Whether to create SHA256SUMS if the directory has none. If False, only
            the file is written in this case.
    """
    if not seals and not (path.parent / SUMS_FILE).exists():
        write_text(path, text)
        return
    with AtomicUpdate(path.parent) as files:
        write_text(files.path(path.name), text)
        files.commit()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path; it becomes `path`, or is removed after an error."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
