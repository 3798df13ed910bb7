"""Reads tables with a header: separated by commas, semicolons or tabs.

A column named `a.b` or `a/b` is the key b inside of a, as the tools that flatten JSON
into tables mean it.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dc_keras.corpus.sources.post import Row

_DELIMITERS = (",", "\t", ";")
# A table without one of these has nothing to import; a text with commas may look
# like a header.
_ID_COLUMNS = frozenset({"id", "video_id", "username", "cid", "aweme_id"})
_COLUMN_NAME = re.compile(r"[\w./\[\] -]{0,80}")
# How R, pandas and SQL write that there is nothing.
_NOTHING = frozenset({"", "NA", "N/A", "nan", "NaN", "None", "NULL", "null", "<NA>"})
_PATH = re.compile(r"[./]")
_MAX_CELL = 2**30


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row, or the reason why it cannot be read.

    Attributes:
        line: number of the line that it ends on.
        value: the row; None where there is a reason.
        reason: why it could not be read.
        raw: its cells joined, where it could not be read.
    """

    line: int
    value: Row | None = None
    reason: str | None = None
    raw: bytes = b""


def find_delimiter(first_line: bytes) -> str | None:
    """Returns what separates the columns that a line names; None if it names none."""
    text = first_line.decode("utf-8", "replace").strip("\r\n")
    for delimiter in _DELIMITERS:
        names = _cells(text, delimiter)
        if (
            len(names) > 1
            and _ID_COLUMNS & set(names)
            and all(map(_COLUMN_NAME.fullmatch, names))
        ):
            return delimiter
    return None


def read_rows(
    header: bytes, lines: Iterable[bytes], number: int, delimiter: str
) -> Iterator[TableRow]:
    """Yields the rows of a table.

    Args:
        header: its first line.
        lines: the lines behind it.
        number: of the header in the file.
        delimiter: as `find_delimiter` says.
    """
    csv.field_size_limit(_MAX_CELL)
    text = header.decode("utf-8", "replace").strip("\r\n")
    columns = [tuple(_PATH.split(name)) for name in _cells(text, delimiter)]
    reader = csv.reader(
        (line.decode("utf-8", "surrogateescape") for line in lines), delimiter=delimiter
    )
    try:
        for cells in reader:
            if any(cells):
                yield _row(columns, cells, number + reader.line_num)
    except csv.Error:
        yield TableRow(number + reader.line_num, reason="a cell of more than 1 GiB")


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []


def _row(columns: list[tuple[str, ...]], cells: list[str], line: int) -> TableRow:
    raw = "\x1f".join(cells).encode("utf-8", "surrogateescape")
    if len(cells) != len(columns):
        reason = f"{len(cells)} cells under a header of {len(columns)} columns"
        return TableRow(line, reason=reason, raw=raw)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return TableRow(line, reason="not UTF-8 text", raw=raw)
    row = Row()
    for path, cell in zip(columns, cells, strict=True):
        # A shape is told by its columns, so an empty one stays.
        _put(row, path, None if cell in _NOTHING else cell)
    return TableRow(line, row)


def _put(row: dict[str, Any], path: tuple[str, ...], cell: str | None) -> None:
    """Puts a cell where its column's path leads."""
    *parents, name = path
    for key in parents:
        child = row.setdefault(key, {})
        if not isinstance(child, dict):
            return
        row = child
    row[name] = cell
