"""Reads tables that are no text: Parquet, and the files of spreadsheet programs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow
import pyarrow.parquet

from dc_keras.corpus.sources.headers import Path, column_paths, is_header
from dc_keras.corpus.sources.post import TypedRow
from dc_keras.corpus.sources.tables import TableRow, make_row, put

_ROWS_A_BATCH = 2**10
_TITLE_ROWS = 12
MAX_BYTES = 2**28


def read_parquet(file: BinaryIO) -> Iterator[TableRow]:
    """Yields the rows of a Parquet file, each with its number."""
    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(file)
        columns = column_paths(table.schema_arrow.names)
        for batch in table.iter_batches(_ROWS_A_BATCH):
            lists = [_texts(column) for column in batch.columns]
            for values in zip(*lists, strict=True):
                number += 1
                row = TypedRow()
                for path, value in zip(columns, values, strict=True):
                    put(row, path, value)
                yield TableRow(number, row)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = f"no readable Parquet file: {type(error).__name__}"
        yield TableRow(number, reason=reason)


def read_workbook(data: bytes) -> Iterator[tuple[str, TableRow]]:
    """Yields the rows of all sheets that have a header: name of the sheet, and row.

    Takes xlsx, xlsb, xls and ods. Every cell is read as the text that it shows.
    """
    import fastexcel

    # It tells of each column that is empty.
    logging.getLogger("fastexcel").setLevel(logging.ERROR)
    found = False
    try:
        book = fastexcel.read_excel(data)
        for name in book.sheet_names:
            for row in _rows_of_sheet(book, name):
                found = True
                yield name, row
    except fastexcel.FastExcelError as error:
        reason = f"no readable spreadsheet: {type(error).__name__}"
        yield "", TableRow(0, reason=reason)
        return
    if not found:
        reason = "a spreadsheet without a row below a header with ids"
        yield "", TableRow(0, reason=reason)


def _rows_of_sheet(book: Any, name: str) -> Iterator[TableRow]:
    texts = _columns(book.load_sheet(name, header_row=None, dtypes="string"))
    rows = [["" if c is None else c for c in row] for row in zip(*texts, strict=True)]
    top = enumerate(rows[:_TITLE_ROWS])
    start = next((number for number, row in top if is_header(row)), None)
    if start is None:
        return
    # Again with types: a number of more than 15 digits is rounded, and none of a text.
    typed = book.load_sheet(
        name, header_row=None, skip_rows=start + 1, schema_sample_rows=None
    )
    columns = column_paths(rows[start])
    for number, values in enumerate(zip(*_columns(typed), strict=True), start + 2):
        if any(value is not None for value in values):
            yield _row(columns, values, number)


def _columns(sheet: Any) -> list[list[Any]]:
    return [column.to_pylist() for column in sheet.to_arrow().columns]


def _row(columns: list[Path], values: Sequence[Any], number: int) -> TableRow:
    """Returns a row, its numbers as numbers and whatever else as the text it shows."""
    texts = ["" if v is None or isinstance(v, float) else str(v) for v in values]
    row = make_row(columns, texts, number)
    if row.value is not None:
        for path, value in zip(columns, values, strict=True):
            if isinstance(value, float):
                put(row.value, path, value)
    return row


def _texts(column: pyarrow.Array) -> list[Any]:
    """Returns the values of a column; whole numbers as texts, which are exact."""
    if pyarrow.types.is_timestamp(column.type) or pyarrow.types.is_date(column.type):
        return [_as_text(value) for value in column.to_pylist()]
    return [_plain(value) for value in column.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Decimal):
        return str(value)
    return _as_text(value)


def _as_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value
