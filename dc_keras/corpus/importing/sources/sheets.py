"""Reads binary tables: Parquet, and the files of spreadsheet programs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from itertools import compress
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

from dc_keras.corpus.importing.sources.headers import (
    Path,
    column_paths,
    is_header,
    rejection_reason,
)
from dc_keras.corpus.importing.sources.post import TypedRow
from dc_keras.corpus.importing.sources.tables import (
    Document,
    make_row,
    put_cell,
    read_cell,
)
from dc_keras.corpus.importing.sources.values import EXACT_IN_A_DOUBLE

_ROWS_A_BATCH = 2**10
_TITLE_ROWS = 12
MAX_BYTES = 2**28


def read_parquet(file: BinaryIO) -> Iterator[Document]:
    """Yields the rows of a Parquet file, each with its number."""
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(file)
        schema = table.schema_arrow
        is_flat = not any(map(pyarrow.types.is_nested, schema.types))
        if is_flat and not is_header(schema.names):
            reason = rejection_reason([schema.names])
            if reason is not None:
                yield Document("row 0", reason=reason)
                return
        columns = column_paths(schema.names)
        for batch in table.iter_batches(_ROWS_A_BATCH):
            lists = [_cells(column) for column in batch.columns]
            for values in zip(*lists, strict=True):
                number += 1
                row = TypedRow()
                for path, value in zip(columns, values, strict=True):
                    put_cell(row, path, value)
                yield Document(f"row {number}", row)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = f"not a readable Parquet file: {type(error).__name__}"
        yield Document(f"row {number}", reason=reason)


def read_workbook(data: bytes) -> Iterator[Document]:
    """Yields the rows of all sheets with a header.

    Reads xlsx, xlsb, xls and ods. Numbers stay numbers; other cells give the displayed
    text; formulas give the computed value.
    """
    import python_calamine

    top: list[list[str]] = []
    found = False
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        for name in book.sheet_names:
            for row in _rows_of_sheet(book.get_sheet_by_name(name), top):
                found = True
                yield replace(row, position=f"sheet {name} {row.position}")
    except python_calamine.PasswordError:
        yield Document("document", reason="a spreadsheet with a password")
        return
    except (python_calamine.CalamineError, ValueError, OSError) as error:
        reason = f"not a readable spreadsheet: {type(error).__name__}"
        yield Document("document", reason=reason)
        return
    if not found:
        reason = "a spreadsheet without a row below a header with ids"
        yield Document("document", reason=rejection_reason(top) or reason)


def _rows_of_sheet(sheet: Any, top: list[list[str]]) -> Iterator[Document]:
    """Yields the rows below the header; the lines above it are added to `top`."""
    merged = {
        (row, column): start
        for start, end in sheet.merged_cell_ranges or ()
        for row in range(start[0], end[0] + 1)
        for column in range(start[1], min(end[1], start[1]) + 1)
    }
    columns: list[Path] | None = None
    last: dict[tuple[int, int], Any] = {}
    for number, cells in enumerate(sheet.iter_rows()):
        if columns is None:
            texts = list(map(_shown, cells))
            if is_header(texts):
                columns = column_paths(texts)
            elif number < _TITLE_ROWS:
                top.append(texts)
            else:
                return
            continue
        # Only the first cell of a merged range has the value.
        for place, cell in enumerate(cells):
            start = merged.get((number, place))
            if start == (number, place):
                last[start] = cell
            elif start is not None:
                cells[place] = last.get(start, cell)
        if any(cell != "" for cell in cells):
            yield _row(columns, cells, f"row {number + 1}")


def _row(columns: list[Path], cells: Sequence[Any], position: str) -> Document:
    """Returns a row; numbers that are not exact integers stay floats."""
    is_number = [isinstance(cell, float) and not _is_exact(cell) for cell in cells]
    shown = ["" if n else _shown(c) for c, n in zip(cells, is_number, strict=True)]
    row = make_row(columns, shown, position)
    if row.value is not None:
        for path, cell in compress(zip(columns, cells, strict=True), is_number):
            put_cell(row.value, path, cell)
    return row


def _shown(cell: object) -> str:
    if isinstance(cell, float) and _is_exact(cell):
        return str(int(cell))
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _is_exact(number: float) -> bool:
    return number.is_integer() and abs(number) <= EXACT_IN_A_DOUBLE


def _cells(column: pyarrow.Array) -> list[Any]:
    """Returns the values of a column; whole numbers as texts, which are exact."""
    kind = column.type
    if pyarrow.types.is_timestamp(kind):
        # Python has no nanoseconds.
        column = column.cast(pyarrow.timestamp("us", kind.tz), safe=False)
    return [_plain(value) for value in column.to_pylist(maps_as_pydicts="lossy")]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return read_cell(value)
    if isinstance(value, date | time):
        return value.isoformat()
    is_whole = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return str(value) if is_whole else value
