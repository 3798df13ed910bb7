"""Atomic writes of single files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tfrecords.errors import DataError
from tfrecords.storage.atomic_update import AtomicUpdate
from tfrecords.storage.checksums import SUMS_FILE, read_sums, write_sealed_file


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) atomically."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes a Parquet file atomically."""
    with _replacing(path) as temporary:
        table.write_parquet(temporary, compression="zstd")


def write_answers(path: Path, text: str) -> None:
    """Writes a text file that is a separate artifact, and its NAME.sha256.

    Raises:
        DataError: The existing file is part of another artifact.
    """
    if path.name in (read_sums(path.parent / SUMS_FILE) or {}):
        raise DataError(
            f"{path} is part of the artifact in {path.parent}, which would be "
            "destroyed; give another --output"
        )
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
