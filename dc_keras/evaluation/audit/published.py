"""A published table, typed into a CSV: which of its rows cannot be.

model,precision,recall,f1
VGG16,.017,.200,.083
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dc_keras.errors import DataError
from dc_keras.evaluation.audit.feasibility import (
    constant_f1,
    macro_row_distance,
    smallest_precision,
)
from dc_keras.evaluation.audit.findings import Check, Finding
from dc_keras.evaluation.metrics import broken_identities

Averaging = Literal["macro", "yes"]

_NUMBERS = ("precision", "recall", "f1")
_COLUMNS = ("model", *_NUMBERS)
# How close a row must come to a possible one, besides rounding: the step of the search.
_SEARCH_SLACK = 0.002


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Attributes:
        name: the model, with its task where the table has tasks.
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
    """A published table as typed.

    Attributes:
        name: its file's name.
        rows: in order.
        rounding: half a unit of the last decimal: numbers of a table are rounded alike,
            and spreadsheets drop zeros, so that the longest number tells.
    """

    name: str
    rows: tuple[PublishedRow, ...]
    rounding: float


def read_table(path: Path) -> PublishedTable:
    """Reads a table from a CSV with a head.

    Args:
        path: the file: columns `model`, `precision`, `recall`, `f1`, and `task` where
            there is more than one; in any order, others are not looked at.

    Raises:
        DataError: a column is missing, a cell is no number in [0, 1], or there is no
            row; the message names line and column.
        FileNotFoundError: there is no such file.
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
        raise DataError(f"{path} must have a row below its head. Received: none")
    rows = tuple(_row(path, line, cells) for line, cells in lines)
    decimals = max(
        len(cells[column].strip().partition(".")[2])
        for _, cells in lines
        for column in _NUMBERS
    )
    return PublishedTable(path.name, rows, 0.5 * 10.0**-decimals)


def check_table(
    table: PublishedTable,
    *,
    num_classes: int | None = None,
    averaging: Averaging = "macro",
    prevalence: float | None = None,
) -> list[Check]:
    """Checks every row of a published table.

    Args:
        table: the rows.
        num_classes: 2 binds rows more than many classes do; None where unknown.
        averaging: "macro" for unweighted means over the classes, "yes" for the numbers
            of one class.
        prevalence: share of "yes" among the judged pairs, strictly between 0 and 1;
            None where unknown. Only for two classes.

    Returns:
        A check of the identities, one of what the prevalence allows, and one against
        models that look at nothing.

    Raises:
        DataError: `num_classes` below 2, a prevalence outside its range or with more
            than two classes.
    """
    is_binary = num_classes == 2
    _require_sense(num_classes, prevalence)
    broken = {
        row: _broken(row, table.rounding, is_binary, averaging) for row in table.rows
    }
    checks = [_identities(table, broken)]
    names = ("possible at the prevalence", "better than a constant")
    if prevalence is None:
        reason = "give --prevalence, the share of yes, with --table_classes=2"
        return [*checks, *(Check.skipped(name, table.name, reason) for name in names)]
    feasible = []
    for row in table.rows:
        if not broken[row]:
            feasible += _infeasible(row, table.rounding, averaging, prevalence)
    constants = constant_f1(prevalence, is_macro=averaging == "macro")
    worse = [
        finding
        for row in table.rows
        for finding in _no_better(row, constants, table.rounding)
    ]
    num_rows = len(table.rows)
    for name, findings in zip(names, (feasible, worse), strict=True):
        checks.append(Check(name, table.name, "rows", num_rows, tuple(findings)))
    return checks


def _identities(
    table: PublishedTable, broken: Mapping[PublishedRow, list[str]]
) -> Check:
    findings = [
        Finding(
            "fault",
            f"{row.name} cannot be: {'; '.join(lines)}",
            _reading(row, table.rounding),
            {"rows": (row.name,)},
        )
        for row, lines in broken.items()
        if lines
    ]
    name = "identities of P, R, F1"
    return Check(name, table.name, "rows", len(table.rows), tuple(findings))


def _broken(
    row: PublishedRow, rounding: float, is_binary: bool, averaging: Averaging
) -> list[str]:
    """Returns what a row breaks, each with its numbers."""
    p, r, f = row.precision, row.recall, row.f1
    if averaging == "yes":
        if _is_harmonic(row, rounding):
            return []
        return [f"F1 ≠ 2PR/(P+R): F1 {_n(f)}, 2PR/(P+R) = {_n(_harmonic(row))}"]
    sides = f"P {_n(p)}, R {_n(r)}, but of two classes both lie on one side of .5"
    numbers = {
        "F1 > 2P": f"F1 {_n(f)} > 2P = {_n(2 * p)}",
        "F1 > 2R": f"F1 {_n(f)} > 2R = {_n(2 * r)}",
        "F1 > (P+R)/2": f"F1 {_n(f)} > (P+R)/2 = {_n((p + r) / 2)}",
        "R > .5 but P < .5": f"R > .5 but P < .5: {sides}",
        "P > .5 but R < .5": f"P > .5 but R < .5: {sides}",
    }
    found = broken_identities(p, r, f, is_binary=is_binary, rounding=rounding)
    return [numbers[identity] for identity in found]


def _reading(row: PublishedRow, rounding: float) -> str:
    if _is_harmonic(row, rounding):
        return (
            "as numbers of one class the row holds (F1 = 2PR/(P+R)): ask what was "
            "averaged, or give --table_averaging=yes"
        )
    return "ask the authors what was averaged over what; do not compare with this row"


def _infeasible(
    row: PublishedRow, rounding: float, averaging: Averaging, prevalence: float
) -> list[Finding]:
    slack = 3 * rounding + _SEARCH_SLACK
    if averaging == "macro":
        distance = macro_row_distance(
            row.precision, row.recall, row.f1, prevalence, rounding
        )
        is_possible = distance <= slack
        why = (
            "no true and false positive rate gives it; the nearest row with this R is "
            f"{_n(distance)} off in P or F1"
        )
    else:
        least = smallest_precision(row.recall, prevalence)
        is_possible = row.precision >= least - slack
        why = f"P {_n(row.precision)} < {_n(least)}, which calling every pair yes gives"
    if is_possible:
        return []
    what = f"{row.name} cannot be at a prevalence of {_n(prevalence)}: {why}"
    advice = "ask for the number of positives among the judged pairs"
    return [Finding("fault", what, advice, {"rows": (row.name,)})]


def _no_better(
    row: PublishedRow, constants: Mapping[str, float], rounding: float
) -> list[Finding]:
    name, floor = max(constants.items(), key=lambda item: item[1])
    if row.f1 > floor + rounding:
        return []
    what = (
        f"{row.name} is no better than a constant: F1 {_n(row.f1)}, {name} {_n(floor)}"
    )
    advice = "no claim of learning rests on this row"
    return [Finding("warning", what, advice, {"rows": (row.name,)})]


def _is_harmonic(row: PublishedRow, rounding: float) -> bool:
    # Neither partial derivative of 2PR/(P+R) exceeds 2, and they sum to at most 2.
    return abs(row.f1 - _harmonic(row)) <= 3 * rounding


def _harmonic(row: PublishedRow) -> float:
    total = row.precision + row.recall
    return 2 * row.precision * row.recall / total if total else 0.0


def _n(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _require_sense(num_classes: int | None, prevalence: float | None) -> None:
    if num_classes is not None and num_classes < 2:
        raise DataError(
            f"`num_classes` must be at least 2. Received: num_classes={num_classes}"
        )
    if prevalence is None:
        return
    if num_classes != 2:
        raise DataError(
            "`prevalence` needs a table of two classes (--table_classes=2). "
            f"Received: num_classes={num_classes}"
        )
    if not 0 < prevalence < 1:
        raise DataError(
            "`prevalence` must lie between 0 and 1, both left out. "
            f"Received: prevalence={prevalence}"
        )


def _require_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in _COLUMNS if name not in columns]
    repeated = [name for name in _COLUMNS if columns.count(name) > 1]
    if missing or repeated:
        raise DataError(
            f"{path}, line 1: the head must name {', '.join(_COLUMNS)}, each once. "
            f"Received: {', '.join(columns) or 'nothing'}"
        )


def _cells(
    path: Path, line: int, columns: list[str], values: list[str]
) -> dict[str, str]:
    if len(values) != len(columns):
        raise DataError(
            f"{path}, line {line}: must have {len(columns)} cells, as the head. "
            f"Received: {len(values)}"
        )
    return dict(zip(columns, values, strict=True))


def _row(path: Path, line: int, cells: Mapping[str, str]) -> PublishedRow:
    numbers = {name: _number(path, line, name, cells[name]) for name in _NUMBERS}
    parts = (cells.get("task", "").strip(), cells["model"].strip())
    if not parts[-1]:
        raise DataError(f"{path}, line {line}, column model: must name the row")
    return PublishedRow(name=" ".join(filter(None, parts)), **numbers)


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        hint = "; 8.3 % is .083" if value > 1 or "%" in text else ""
        raise DataError(
            f"{path}, line {line}, column {column}: must be a number from 0 to 1{hint}. "
            f"Received: {column}={text.strip()!r}"
        )
    return value
