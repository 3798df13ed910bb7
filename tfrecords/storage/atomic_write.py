"""Writing one file: whole under its name, or not at all."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tfrecords.storage.checksums import SUMS_FILE, read_sums, write_sealed_file
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import Switch


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) under a temporary name and renames it when whole."""
    temporary = _temporary(path)
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Writes a Parquet file under a temporary name and renames it when whole."""
    temporary = _temporary(path)
    table.write_parquet(temporary, compression="zstd")
    temporary.replace(path)


def write_answers(path: Path, text: str) -> None:
    """Writes a text file that is an artifact by itself, with its checksum beside it.

    Raises:
        DataError: the file that is there is part of another artifact.
    """
    if path.name in (read_sums(path.parent / SUMS_FILE) or {}):
        raise DataError(
            f"{path} is part of the artifact in {path.parent}, which would be "
            "destroyed; give another --output"
        )
    write_sealed_file(path, lambda place: write_text(place, text))


def write_sealed(path: Path, text: str, *, seals: bool = False) -> None:
    """Writes a text file (UTF-8) of an artifact, whose SHA256SUMS follows.

    Args:
        path: in a directory that no other process writes.
        text: its content.
        seals: whether a directory without SHA256SUMS gets one; otherwise there the file
            is written alone.
    """
    if not seals and not (path.parent / SUMS_FILE).exists():
        write_text(path, text)
        return
    with Switch(path.parent) as files:
        write_text(files.path(path.name), text)
        files.commit()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
