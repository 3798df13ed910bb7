"""Reads text tables with a header, separated by commas, semicolons, tabs or bars."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dc_keras.corpus.importing.sources import cells as cell_contents
from dc_keras.corpus.importing.sources import headers
from dc_keras.corpus.importing.sources.headers import Path, column_paths, is_header
from dc_keras.corpus.importing.sources.post import PostColumns, Row

_DELIMITERS = (",", "\t", ";", "|")
_TITLE_LINES = 12
# The missing values of R, pandas and SQL.
_NOTHING = frozenset({"", "NA", "N/A", "nan", "NaN", "None", "NULL", "null", "<NA>"})
_MAX_CELL = 2**30


@dataclass(slots=True)
class Document:
    """One JSON value or row of an export file, or the reason why it cannot be read.

    Attributes:
        position: position in the piece: `line 3`, `document`, `script SIGI_STATE`; in
            an archive, preceded by the name of the entry.
        value: the parsed JSON, or a `Row`; None if there is a reason.
        reason: why it could not be parsed.
        raw: the bytes of an unparsed document, otherwise empty.
        posts: in place of a value, the posts that `read_lines` read from this line and
            the following ones.
    """

    position: str
    value: Any = None
    reason: str | None = None
    raw: bytes = b""
    posts: PostColumns | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The path of each column in a record, and what separates the cells."""

    columns: list[Path]
    delimiter: str
    is_spaced: bool = False


def find_header(lines: Sequence[bytes]) -> Header | None:
    """Returns the header among the first lines of a file, None if there is none.

    A preceding line `sep=;` sets the delimiter.
    """
    delimiters: tuple[str, ...] = _DELIMITERS
    for line in lines[:_TITLE_LINES]:
        text = line.decode("utf-8", "replace").removeprefix("\ufeff").strip("\r\n")
        if text.casefold().startswith("sep=") and len(text) == len("sep=;"):
            delimiters = (text[-1],)
            continue
        if text.lstrip()[:1] in ("{", "["):
            return None
        found = [
            (len(cells), delimiter, cells)
            for delimiter in delimiters
            if is_header(cells := _cells(text, delimiter))
        ]
        if found:
            _, delimiter, cells = max(found, key=lambda choice: choice[0])
            is_spaced = text.count(delimiter + " ") >= len(cells) - 1
            return Header(column_paths(cells), delimiter, is_spaced)
    return None


def rejection_reason(lines: Sequence[bytes]) -> str | None:
    """Returns why a table has no ids, None if the lines are not a table."""
    texts = [line.decode("utf-8", "replace").strip("\ufeff\r\n") for line in lines]
    return headers.rejection_reason(
        _cells(text, delimiter)
        for text in texts[:_TITLE_LINES]
        for delimiter in _DELIMITERS
    )


def read_rows(
    header: Header, lines: Iterable[bytes], number: int
) -> Iterator[Document]:
    """Yields the rows below a header, which is line `number` of the file."""
    csv.field_size_limit(_MAX_CELL)
    texts = (line.decode("utf-8", "surrogateescape") for line in lines)
    reader = csv.reader(
        texts, delimiter=header.delimiter, skipinitialspace=header.is_spaced
    )
    try:
        for cells in reader:
            if any(cells):
                position = f"line {number + reader.line_num}"
                yield make_row(header.columns, cells, position)
    except csv.Error as error:
        reason = f"not a table from here on: {error}"
        yield Document(f"line {number + reader.line_num}", reason=reason)


def make_row(columns: Sequence[Path], cells: Sequence[str], position: str) -> Document:
    """Returns one row of a table whose cells are texts."""
    raw = "\x1f".join(cells).encode("utf-8", "surrogateescape")
    if len(cells) != len(columns):
        reason = f"{len(cells)} cells under a header of {len(columns)} columns"
        return Document(position, reason=reason, raw=raw)
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return Document(position, reason="not UTF-8 text", raw=raw)
    row = Row()
    for path, cell in zip(columns, cells, strict=True):
        # Formats are recognised by their columns, so empty cells are kept as None.
        put_cell(row, path, None if cell.strip() in _NOTHING else read_cell(cell))
    return Document(position, row)


def put_cell(row: dict[str, Any], path: Path, cell: Any) -> None:
    """Stores a cell at the path of its column; an existing value is kept."""
    *parents, name = path
    for key in parents:
        child = row.get(key)
        if child is None:
            child = row[key] = {}
        if not isinstance(child, dict):
            return
        row = child
    if row.get(name) is None:
        row[name] = cell


def read_cell(cell: str) -> Any:
    """Returns the object in a cell, or the text if it is not one."""
    if cell[:1] == "{" and len(cell) > 2:
        found = cell_contents.read_object(cell)
        return cell if found is None else found
    return cell


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        reader = csv.reader([text], delimiter=delimiter, skipinitialspace=True)
        return next(reader, [])
    except csv.Error:
        return []
