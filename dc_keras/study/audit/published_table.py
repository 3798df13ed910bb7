"""Reads a published table of results from a CSV file.

model,precision,recall,f1
VGG16,.017,.200,.083
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dc_keras.errors import DataError

_NUMBERS = ("precision", "recall", "f1")
_COLUMNS = ("model", *_NUMBERS)


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        name: name of the model, after its task if the table has tasks.
        precision: in [0, 1].
        recall: in [0, 1].
        f1: in [0, 1].
    """

    name: str
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class PublishedTable:
    """A published table.

    Attributes:
        name: name of the file.
        rows: the rows in order.
        rounding: half a unit of the last decimal of the longest number. All numbers are
            assumed to be rounded alike, since spreadsheets drop trailing zeros.
    """

    name: str
    rows: tuple[PublishedRow, ...]
    rounding: float


def read_table(path: Path) -> PublishedTable:
    """Reads a table from a CSV file with a header.

    Args:
        path: file with the columns `model`, `precision`, `recall`, `f1` and optionally
            `task`, in any order. Other columns are ignored.

    Raises:
        DataError: if a column is missing, a cell is not a number in [0, 1], or there is
            no row; the message names line and column.
        FileNotFoundError: if there is no such file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = [name.strip().casefold() for name in next(reader, [])]
            _require_columns(path, columns)
            lines = [
                (reader.line_num, _cells(path, reader.line_num, columns, values))
                for values in reader
                if any(value.strip() for value in values)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} must be a CSV in UTF-8 ({error})") from error
    if not lines:
        raise DataError(f"{path} must have a row below its header. Received: none")
    rows = tuple(_row(path, line, cells) for line, cells in lines)
    decimals = max(
        len(cells[column].strip().partition(".")[2])
        for _, cells in lines
        for column in _NUMBERS
    )
    return PublishedTable(path.name, rows, 0.5 * 10.0**-decimals)


def _require_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in _COLUMNS if name not in columns]
    repeated = [name for name in _COLUMNS if columns.count(name) > 1]
    if missing or repeated:
        raise DataError(
            f"{path}, line 1: the header must name {', '.join(_COLUMNS)}, each once. "
            f"Received: {', '.join(columns) or 'nothing'}"
        )


def _cells(
    path: Path, line: int, columns: list[str], values: list[str]
) -> dict[str, str]:
    if len(values) != len(columns):
        raise DataError(
            f"{path}, line {line}: must have {len(columns)} cells, like the header. "
            f"Received: {len(values)}"
        )
    return dict(zip(columns, values, strict=True))


def _row(path: Path, line: int, cells: Mapping[str, str]) -> PublishedRow:
    numbers = {name: _number(path, line, name, cells[name]) for name in _NUMBERS}
    parts = (cells.get("task", "").strip(), cells["model"].strip())
    if not parts[-1]:
        raise DataError(
            f"{path}, line {line}, column model: must not be empty. "
            f"Received: model={cells['model']!r}"
        )
    return PublishedRow(name=" ".join(filter(None, parts)), **numbers)


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        hint = "; 8.3 % is .083" if value > 1 or "%" in text else ""
        raise DataError(
            f"{path}, line {line}, column {column}: must be a number from 0 to 1"
            f"{hint}. Received: {column}={text.strip()!r}"
        )
    return value
