"""Checks the labels of a grid against the corpus."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from dc_keras.study.audit.findings import Check, Finding, named, places
from dc_keras.study.audit.focal_marks import NO_MARKS
from dc_keras.study.audit.sides import row_cutoffs
from dc_keras.study.challenge import Challenge
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import find_joins
from dc_keras.study.study import Study

_DAY_S = 86_400
_ADVICE = "resolve the study again on this corpus and evaluate into a new directory"

_Bools = npt.NDArray[np.bool_]


def check_labels(subject: str, grid: Grid, videos: pl.DataFrame) -> Check:
    """Compares the labels of a grid with labels computed from the corpus."""
    if not {*grid.challenges} <= grid.settings.get("challenges", {}).keys():
        return Check.skipped("labels", subject, NO_MARKS)
    joined, joined_before = _joins(grid, videos)
    rows, columns = row_cutoffs(grid)
    may_pair = np.array(rows)[:, None] == np.array(columns)[None, :]
    wrongs = (
        ("is labelled joined, but the user has no such post",
         grid.observed & ~joined_before & (grid.labels == 1) & ~joined),
        ("is labelled not joined, but the user has such a post",
         grid.observed & ~joined_before & (grid.labels == 0) & joined),
        ("is a pair, but the user joined before the cutoff or at an unknown time",
         grid.observed & joined_before),
        ("has a user and a challenge of different cutoffs", grid.observed & ~may_pair),
    )  # fmt: skip
    findings = [
        _of_pair(grid, row, column, what)
        for what, is_wrong in wrongs
        for row, column in zip(
            *map(np.ndarray.tolist, np.nonzero(is_wrong)), strict=True
        )
    ]
    gaps = ~grid.observed & may_pair & ~joined_before
    if gaps.any():
        findings.append(_of_gaps(grid, gaps))
    num_pairs = int(grid.observed.sum())
    return Check("labels", subject, "pairs", num_pairs, tuple(findings))


def _joins(grid: Grid, videos: pl.DataFrame) -> tuple[_Bools, _Bools]:
    """Returns who joined what in the label window, and who before or undated."""
    marks = grid.settings["challenges"]
    study = Study("audit", tuple(Challenge.of(*item) for item in marks.items()))
    own = videos.filter(pl.col("user_id").is_in(set(grid.users)))
    posts = own.select("video_id", "user_id", "create_time")
    rows, _ = row_cutoffs(grid)
    windows = pl.DataFrame(
        {"user_id": grid.users, "row": range(len(rows)), "cutoff": rows},
        schema={"user_id": pl.String, "row": pl.Int64, "cutoff": pl.Int64},
    )
    columns = pl.DataFrame(
        {
            "challenge": [list(marks).index(name) for name in grid.challenges],
            "column": range(len(grid.challenges)),
        }
    )
    times = (
        find_joins(study, own)
        .join(posts, on="video_id")
        .join(windows, on="user_id")
        .join(columns, on="challenge")
        .with_columns(is_after=_is_after(grid))
    )
    joined, before = np.zeros((2, *grid.labels.shape), np.bool_)
    for row, column, is_after in times.select("row", "column", "is_after").iter_rows():
        if is_after is None:
            before[row, column] = True
        elif is_after:
            joined[row, column] = True
    return joined, before


def _is_after(grid: Grid) -> pl.Expr:
    """Returns true inside the label window, null before it or undated, false after."""
    time, cutoff = pl.col("create_time"), pl.col("cutoff")
    in_window = pl.lit(True)
    if "horizon_days" in grid.settings:
        in_window = time < cutoff + int(grid.settings["horizon_days"]) * _DAY_S
    is_known = cutoff.is_null() | (time >= cutoff)
    return pl.when(cutoff.is_null()).then(True).when(is_known).then(in_window)


def _of_pair(grid: Grid, row: int, column: int, what: str) -> Finding:
    user, challenge = grid.users[row], grid.challenges[column]
    where = places(users=[user], challenges=[challenge])
    return Finding("fault", f"{user} × {challenge} {what}", _ADVICE, where)


def _of_gaps(grid: Grid, gaps: _Bools) -> Finding:
    rows, columns = np.nonzero(gaps)
    users = [grid.users[row] for row in rows]
    challenges = [grid.challenges[column] for column in columns]
    pairs = (f"{u} × {c}" for u, c in zip(users, challenges, strict=True))
    what = (
        f"{len(rows)} pairs are left out, although the user did not join before the "
        f"cutoff: {named(pairs)}"
    )
    advice = "leaving pairs out changes the evaluation; resolve the study again"
    return Finding("warning", what, advice, places(users=users, challenges=challenges))
