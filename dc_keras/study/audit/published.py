"""Finds the impossible rows of a published table of results."""

from __future__ import annotations

from collections.abc import Mapping

from dc_keras.errors import DataError
from dc_keras.study.audit.feasibility import (
    broken_identities,
    constant_f1,
    macro_row_distance,
    smallest_precision,
)
from dc_keras.study.audit.findings import Check, Finding
from dc_keras.study.audit.published_table import PublishedRow, PublishedTable

# Tolerance for the step width of the search, besides rounding.
_SEARCH_SLACK = 0.002


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
        Three checks: of the identities of precision, recall and F1, of the values
        possible at the prevalence, and of the comparison with constant predictions.

    Raises:
        DataError: if `num_classes` is below 2, or the prevalence is outside its range
            or given without two classes.
    """
    is_binary = num_classes == 2
    _require_valid(num_classes, prevalence)
    broken = {
        row: _broken(row, table.rounding, is_binary, averaging) for row in table.rows
    }
    return [
        _identities(table, broken),
        _feasibility(table, broken, averaging, prevalence),
        _constants(table, is_binary, averaging, prevalence),
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


def _constants(
    table: PublishedTable, is_binary: bool, averaging: str, prevalence: float | None
) -> Check:
    """Compares the rows with constant predictions: always yes, always no."""
    name, is_macro = "better than a constant", averaging == "macro"
    floors = {} if prevalence is None else constant_f1(prevalence, is_macro)
    if not floors and not (is_binary and is_macro):
        reason = "needs --table_classes=2 and --prevalence, the share of yes"
        return Check.skipped(name, table.name, reason)
    findings = []
    for row in table.rows:
        reasons = []
        if is_macro and row.recall <= 0.5 + table.rounding:
            reasons.append(f"R {_n(row.recall)}, and every constant has .500")
        for constant, floor in floors.items():
            if row.f1 <= floor + table.rounding:
                reasons.append(f"F1 {_n(row.f1)}, and {constant} has {_n(floor)}")
        if reasons:
            what = f"{row.name} is no better than a constant: {'; '.join(reasons)}"
            advice = "this row is no evidence that the model learned anything"
            findings.append(Finding("warning", what, advice, {"rows": (row.name,)}))
    return Check(name, table.name, "rows", len(table.rows), tuple(findings))


def _is_harmonic(row: PublishedRow, rounding: float) -> bool:
    # Neither partial derivative of 2PR/(P+R) exceeds 2, and they sum to at most 2.
    return abs(row.f1 - _harmonic(row)) <= 3 * rounding


def _harmonic(row: PublishedRow) -> float:
    total = row.precision + row.recall
    return 2 * row.precision * row.recall / total if total else 0.0


def _n(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _require_valid(num_classes: int | None, prevalence: float | None) -> None:
    if num_classes is not None and num_classes < 2:
        raise DataError(
            f"`num_classes` must be at least 2. Received: num_classes={num_classes}"
        )
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
