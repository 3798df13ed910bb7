"""Which rows of a published table cannot be."""

from __future__ import annotations

from collections.abc import Mapping

from dc_keras.errors import DataError
from dc_keras.study.audit.feasibility import (
    constant_f1,
    macro_row_distance,
    smallest_precision,
)
from dc_keras.study.audit.findings import Check, Finding
from dc_keras.study.audit.published_table import PublishedRow, PublishedTable
from dc_keras.evaluation.metrics import broken_identities

# How close a row must come to a possible one, besides rounding: the step of the search.
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
    row: PublishedRow, rounding: float, is_binary: bool, averaging: str
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


def _feasibility(
    table: PublishedTable,
    broken: Mapping[PublishedRow, list[str]],
    averaging: str,
    prevalence: float | None,
) -> Check:
    name = "possible at the prevalence"
    if prevalence is None:
        reason = "give --prevalence, the share of yes, with --table_classes=2"
        return Check.skipped(name, table.name, reason)
    whole = [row for row, lines in broken.items() if not lines]
    reasons = {
        row: _infeasible(row, table.rounding, averaging, prevalence) for row in whole
    }
    findings = [
        Finding(
            "fault",
            f"{row.name} cannot be at a prevalence of {_n(prevalence)}: {why}",
            "ask for the number of positives among the judged pairs",
            {"rows": (row.name,)},
        )
        for row, why in reasons.items()
        if why
    ]
    return Check(name, table.name, "rows", len(whole), tuple(findings))


def _infeasible(
    row: PublishedRow, rounding: float, averaging: str, prevalence: float
) -> str:
    """Returns why a row cannot be at a prevalence; "" where it can."""
    slack = 3 * rounding + _SEARCH_SLACK
    if averaging == "macro":
        distance = macro_row_distance(
            row.precision, row.recall, row.f1, prevalence, rounding
        )
        return "" if distance <= slack else (
            "no true and false positive rate gives it; the nearest row with this R is "
            f"{_n(distance)} off in P or F1"
        )  # fmt: skip
    least = smallest_precision(row.recall, prevalence)
    return "" if row.precision >= least - slack else (
        f"P {_n(row.precision)} < {_n(least)}, though every no were called yes"
    )  # fmt: skip


def _constants(
    table: PublishedTable, is_binary: bool, averaging: str, prevalence: float | None
) -> Check:
    """Compares with models that look at nothing: always yes, always no."""
    name, is_macro = "better than a constant", averaging == "macro"
    floors = {} if prevalence is None else constant_f1(prevalence, is_macro)
    if not floors and not (is_binary and is_macro):
        reason = "give --table_classes=2 and --prevalence, the share of yes"
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
            advice = "no claim of learning rests on this row"
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
