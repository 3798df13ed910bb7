"""The files between a process that reads a unit and the one that merges it."""

from __future__ import annotations

import json
import typing
from pathlib import Path
from typing import Any, Self

import polars as pl
import pyarrow
import pyarrow.ipc

from dc_keras.corpus.importing.export_reader import Sink
from dc_keras.corpus.importing.quarantine import Rejected
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.unit_content import UnitContent

_POSTS = "posts.arrow"
_REJECTED = "rejected.jsonl"
_CONTENT = "content.json"


class UnitWriter:
    """Writes a unit; a `Sink`, and a context in which the files are open.

    Args:
        directory: an existing directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._posts: pyarrow.ipc.RecordBatchStreamWriter | None = None
        self._rejected = (directory / _REJECTED).open("w", encoding="ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._rejected.close()
        if self._posts is not None:
            self._posts.close()

    def add_posts(self, table: pl.DataFrame) -> None:
        """Writes a table of posts."""
        rows = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._posts is None:
            self._posts = pyarrow.ipc.new_stream(
                self._directory / _POSTS,
                rows.schema,
                options=pyarrow.ipc.IpcWriteOptions(compression="lz4"),
            )
        self._posts.write_table(rows)

    def reject(self, piece: Piece, rejected: Rejected) -> None:
        """Writes a rejected record."""
        line = json.dumps([str(piece.path), piece.start, rejected.to_json()])
        self._rejected.write(f"{line}\n")

    def finish(self, content: UnitContent) -> None:
        """Writes the other content."""
        text = content.to_json()
        (self._directory / _CONTENT).write_text(text, encoding="ascii")


def read_content(directory: Path) -> UnitContent:
    """Reads what `UnitWriter.finish` wrote."""
    return UnitContent.from_json((directory / _CONTENT).read_text(encoding="ascii"))


def replay(directory: Path, sink: Sink) -> None:
    """Gives the posts and the rejected records of a unit to a sink, in order."""
    with (directory / _REJECTED).open(encoding="ascii") as lines:
        for path, start, rejected in map(json.loads, lines):
            sink.reject(Piece(Path(path), start), Rejected.from_json(rejected))
    if (directory / _POSTS).exists():
        with pyarrow.ipc.open_stream(directory / _POSTS) as batches:
            for batch in batches:
                sink.add_posts(typing.cast("pl.DataFrame", pl.from_arrow(batch)))
