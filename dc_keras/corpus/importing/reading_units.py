"""Divides export files into units, and reads them in this process or in others.

Another process reads a unit into files, which this process merges in the order of the
units. Units do not depend on the number of processes, and neither does the result.
"""

from __future__ import annotations

import json
import shutil
import typing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Self

import polars as pl
import pyarrow
import pyarrow.ipc
from tqdm import tqdm

from dc_keras.corpus.importing.export_reader import (
    ExportReader,
    ReadingOptions,
    Sink,
)
from dc_keras.corpus.importing.gathered import Gathered
from dc_keras.corpus.importing.quarantine import Entry
from dc_keras.corpus.importing.sources.pieces import Piece, split_lines
from dc_keras.corpus.importing.sources.reading import is_json_lines
from dc_keras.corpus.importing.unit_content import Unit, UnitContent
from dc_keras.errors import DataError
from tfrecords.memory import without_garbage_collection
from tfrecords.unit_runs import run_units

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster

# Changing these sizes may change results: where an account has several counts with one
# collection time, those of a unit are compared first.
_BYTES_A_RANGE = 2**26
_BYTES_A_GROUP = 2**22
_POSTS = "posts.arrow"
_REJECTED = "rejected.jsonl"
_CONTENT = "content.json"


def plan_units(files: Iterable[Path]) -> list[Unit]:
    """Returns the units of files: ranges of JSON lines, files, or groups of small ones.

    Only JSON lines are divided. The records of a table may have several lines, and
    those of archives, workbooks and single JSON values need the whole file.
    """
    units: list[list[Piece]] = []
    room = -1  # bytes that the last unit may still get
    for path in files:
        size = path.stat().st_size
        if size > _BYTES_A_RANGE and is_json_lines(path, _BYTES_A_RANGE):
            units += [[piece] for piece in split_lines(path, _BYTES_A_RANGE)]
            room = -1
        elif size > room:
            units.append([Piece(path)])
            room = _BYTES_A_GROUP - size
        else:
            units[-1].append(Piece(path))
            room -= size
    return [tuple(pieces) for pieces in units]


def read_units(
    units: Sequence[Unit],
    options: ReadingOptions,
    gathered: Gathered,
    scratch: Path,
    *,
    workers: int = 1,
    cluster: RayCluster | None = None,
) -> None:
    """Reads all units, in order, and merges them into what is gathered.

    Args:
        units: the units.
        options: how to read.
        gathered: what the units are merged into.
        scratch: existing directory for the files of other processes.
        workers: number of processes of this machine that read.
        cluster: cluster that reads instead.

    Raises:
        DataError: another process does not know the sources of this one, a process
            died, or the cluster cannot be used.
    """
    reader = ExportReader(options)
    progress = partial(tqdm, desc="reading", unit="unit", disable=None)
    if cluster is None and min(workers, len(units)) == 1:
        for unit in progress(units):
            gathered.add(unit, reader.read(unit, gathered, gathered.post_authors))
        return
    read = partial(_read_apart, options, reader.source_names, scratch)
    results = run_units(read, units, "part", workers=workers, cluster=cluster)
    with closing(results):
        for unit, directory in progress(_in_order(units, results), total=len(units)):
            content = read_content(directory)
            if content.lacks_authors:
                content = reader.read(unit, gathered, gathered.post_authors)
            else:
                replay(directory, gathered)
            gathered.add(unit, content)
            shutil.rmtree(directory)


def _in_order(
    units: Iterable[Unit], results: Iterable[tuple[Unit, Path]]
) -> Iterator[tuple[Unit, Path]]:
    """Yields the results in the order of the units, each as early as possible."""
    done: dict[Unit, Path] = {}
    following = iter(units)
    unit = next(following)
    for finished, directory in results:
        done[finished] = directory
        while unit in done:
            yield unit, done.pop(unit)
            unit = next(following, ())


_reader_of = cache(ExportReader)  # its caches are for all units of a process


@without_garbage_collection()  # reading makes no cycles, and it costs 25%
def _read_apart(
    options: ReadingOptions, source_names: tuple[str, ...], scratch: Path, unit: Unit
) -> Path:
    """Reads a unit into files of a new directory, and returns the directory.

    A repeated attempt has another directory, so it never meets incomplete files.
    """
    reader = _reader_of(options)
    if reader.source_names != source_names:
        raise DataError(
            "other processes must know the same formats: put `register_source` into a "
            "file, and name it as the source file. "
            f"Received: {sorted(set(source_names) ^ set(reader.source_names))}"
        )
    directory = Path(mkdtemp(prefix="unit-", dir=scratch))
    with UnitWriter(directory) as writer:
        writer.finish(reader.read(unit, writer))
    return directory


class UnitWriter:
    """Writes a unit to a directory; a `Sink`, and a context of the open files."""

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

    def reject(self, piece: Piece, entry: Entry) -> None:
        """Writes the entry of a rejected record."""
        line = json.dumps([str(piece.path), piece.start, entry])
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
        for path, start, entry in map(json.loads, lines):
            sink.reject(Piece(Path(path), start), entry)
    if (directory / _POSTS).exists():
        with pyarrow.ipc.open_stream(directory / _POSTS) as batches:
            for batch in batches:
                sink.add_posts(typing.cast("pl.DataFrame", pl.from_arrow(batch)))
