"""Reads a published table of results, and finds its impossible rows.

A table is a CSV file:

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
from dc_keras.study.audit.feasibility import (
    broken_identities,
    macro_row_distance,
    smallest_precision,
)
from dc_keras.study.audit.findings import Check, Finding

_NUMBERS = ("precision", "recall", "f1")
_COLUMNS = ("model", *_NUMBERS)
# Tolerance for the step width of the search, besides rounding.
_SEARCH_SLACK = 0.002


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


def check_table(
    table: PublishedTable,
    *,
    num_classes: int | None = None,
    averaging: str = "macro",
    prevalence: float | None = None,
) -> list[Check]:
    """Checks every row of a published table.

    Args:
        table: the rows.
        num_classes: number of classes; None if unknown. More identities hold for 2.
        averaging: "macro" for unweighted means over the classes, "yes" for the values
            of one class.
        prevalence: share of "yes" among the judged pairs, strictly between 0 and 1;
            None if unknown. Only for two classes.

    Returns:
        Two checks: of the identities of precision, recall and F1, and of the values
        possible at the prevalence.

    Raises:
        DataError: if the prevalence is outside its range or given without two classes.
    """
    is_binary = num_classes == 2
    _require_valid(num_classes, prevalence)
    broken = {
        row: _broken(row, table.rounding, is_binary, averaging) for row in table.rows
    }
    return [
        _identities(table, broken),
        _feasibility(table, broken, averaging, prevalence),
    ]


def _identities(
    table: PublishedTable, broken: Mapping[PublishedRow, list[str]]
) -> Check:
    findings = [
        Finding(
            "fault",
            f"{row.name} is impossible: {'; '.join(lines)}",
            _advice(row, table.rounding),
            {"rows": (row.name,)},
        )
        for row, lines in broken.items()
        if lines
    ]
    name = "identities of P, R, F1"
    return Check(name, table.name, "rows", len(table.rows), tuple(findings))


def _broken(
    row: PublishedRow, rounding: float, is_binary: bool, averaging: str
) -> list[str]:
    """Returns the identities that a row violates, with its values."""
    p, r, f = row.precision, row.recall, row.f1
    if averaging == "yes":
        if _is_harmonic(row, rounding):
            return []
        return [f"F1 ≠ 2PR/(P+R): F1 {_n(f)}, 2PR/(P+R) = {_n(_harmonic(row))}"]
    sides = f"P {_n(p)}, R {_n(r)}, but for two classes both lie on one side of .5"
    numbers = {
        "F1 > 2P": f"F1 {_n(f)} > 2P = {_n(2 * p)}",
        "F1 > 2R": f"F1 {_n(f)} > 2R = {_n(2 * r)}",
        "F1 > (P+R)/2": f"F1 {_n(f)} > (P+R)/2 = {_n((p + r) / 2)}",
        "R > .5 but P < .5": f"R > .5 but P < .5: {sides}",
        "P > .5 but R < .5": f"P > .5 but R < .5: {sides}",
    }
    broken = broken_identities(p, r, f, is_binary=is_binary, rounding=rounding)
    return [numbers[identity] for identity in broken]


def _advice(row: PublishedRow, rounding: float) -> str:
    if _is_harmonic(row, rounding):
        return (
            "the row is possible as values of one class (F1 = 2PR/(P+R)): ask the "
            "authors how they averaged, or give --table_averaging=yes"
        )
    return "ask the authors how they averaged; do not compare with this row"


def _feasibility(
    table: PublishedTable,
    broken: Mapping[PublishedRow, list[str]],
    averaging: str,
    prevalence: float | None,
) -> Check:
    name = "possible at the prevalence"
    if prevalence is None:
        reason = "needs --prevalence, the share of yes, with --table_classes=2"
        return Check.skipped(name, table.name, reason)
    valid = [row for row, lines in broken.items() if not lines]
    reasons = {
        row: _infeasible(row, table.rounding, averaging, prevalence) for row in valid
    }
    findings = [
        Finding(
            "fault",
            f"{row.name} is impossible at a prevalence of {_n(prevalence)}: {why}",
            "ask for the number of positives among the judged pairs",
            {"rows": (row.name,)},
        )
        for row, why in reasons.items()
        if why
    ]
    return Check(name, table.name, "rows", len(valid), tuple(findings))


def _infeasible(
    row: PublishedRow, rounding: float, averaging: str, prevalence: float
) -> str:
    """Returns why a row is impossible at a prevalence; "" if it is possible."""
    slack = 3 * rounding + _SEARCH_SLACK
    if averaging == "macro":
        distance = macro_row_distance(
            row.precision, row.recall, row.f1, prevalence, rounding
        )
        return "" if distance <= slack else (
            "no true and false positive rates give it; the nearest row with this R "
            f"differs by {_n(distance)} in P or F1"
        )  # fmt: skip
    least = smallest_precision(row.recall, prevalence)
    return "" if row.precision >= least - slack else (
        f"P {_n(row.precision)} < {_n(least)}, the P of predicting yes for every no"
    )  # fmt: skip


def _is_harmonic(row: PublishedRow, rounding: float) -> bool:
    # Neither partial derivative of 2PR/(P+R) exceeds 2, and they sum to at most 2.
    return abs(row.f1 - _harmonic(row)) <= 3 * rounding


def _harmonic(row: PublishedRow) -> float:
    total = row.precision + row.recall
    return 2 * row.precision * row.recall / total if total else 0.0


def _n(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _require_valid(num_classes: int | None, prevalence: float | None) -> None:
    if prevalence is None:
        return
    if num_classes != 2:
        raise DataError(
            "`prevalence` requires a table of two classes (--table_classes=2). "
            f"Received: num_classes={num_classes}"
        )
    if not 0 < prevalence < 1:
        raise DataError(
            "`prevalence` must be strictly between 0 and 1. "
            f"Received: prevalence={prevalence}"
        )
