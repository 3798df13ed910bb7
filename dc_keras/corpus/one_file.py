"""Writing one file: whole under its name, or not at all."""

from __future__ import annotations

from pathlib import Path

import polars as pl


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


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")
