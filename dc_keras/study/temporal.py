"""Temporal evaluation: one study resolved at several cutoffs.

At each cutoff t, histories, support and panel use posts before t, as in
`resolution.resolve_grid`, and the label is whether the user joins in
[t, t + horizon). The earlier cutoffs are for training and the last one for testing. The
label windows of the earlier cutoffs end at or before the last cutoff.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import resolve_grid
from dc_keras.study.study import Study

_DAY_S = 86_400


def resolve_temporal(
    study: Study,
    videos: pl.DataFrame,
    support: str,
    *,
    horizon_days: int,
    num_past: int,
) -> Grid:
    """Resolves a study at its cutoff and at earlier cutoffs, one horizon apart.

    Args:
        study: the study; its cutoff is the test cutoff.
        videos: the corpus's table of posts.
        support: the support rule, see `resolution.resolve_study`.
        horizon_days: length of the label windows in days, at least 1.
        num_past: number of earlier cutoffs, at least 1.

    Returns:
        One grid of all cutoffs. A pair has a user and a challenge of the same cutoff.

    Raises:
        DataError: if the study has no cutoff, `horizon_days` or `num_past` is below 1,
            or the panel is empty at a cutoff.
    """
    if study.cutoff is None:
        raise DataError(
            "temporal needs a `cutoff` in the study and --use_cutoff. Received: none"
        )
    for name, value in (("horizon_days", horizon_days), ("num_past", num_past)):
        if value < 1:
            raise DataError(f"`{name}` must be at least 1. Received: {name}={value}")
    horizon = horizon_days * _DAY_S
    grids = []
    for steps in range(num_past, -1, -1):
        cutoff = study.cutoff - steps * horizon
        # Posts after the end of the label window are not yet known.
        known = videos.filter(
            pl.col("create_time").is_null() | (pl.col("create_time") < cutoff + horizon)
        )
        grids.append(resolve_grid(study.with_settings(cutoff=cutoff), known, support))
    joined = join_cutoffs(grids, [int(grid.settings["cutoff"]) for grid in grids])
    settings = {**joined.settings, "horizon_days": horizon_days}
    return replace(joined, settings=settings)


def join_cutoffs(
    grids: Sequence[Grid], cutoffs: Sequence[int], ends: Sequence[int] = ()
) -> Grid:
    """Joins grids of several cutoffs into one.

    Args:
        grids: grids in order of time.
        cutoffs: cutoff of each grid, UTC seconds.
        ends: end of the label window of each grid, UTC seconds; empty if each window
            ends at the next cutoff.

    Returns:
        The rows and columns of all grids, one grid after another. A user or challenge
        has one row or column per cutoff, all with the same name. `pool_users` is empty,
        because their histories would depend on the cutoff.
    """
    shape = (
        sum(len(grid.users) for grid in grids),
        sum(len(grid.challenges) for grid in grids),
    )
    labels, observed = np.zeros(shape, np.int8), np.zeros(shape, np.bool_)
    row = column = 0
    for grid in grids:
        place = (
            slice(row, row := row + len(grid.users)),
            slice(column, column := column + len(grid.challenges)),
        )
        labels[place], observed[place] = grid.labels, grid.observed
    return Grid(
        challenges=tuple(name for grid in grids for name in grid.challenges),
        users=tuple(user for grid in grids for user in grid.users),
        labels=labels,
        observed=observed,
        histories=tuple(ids for grid in grids for ids in grid.histories),
        support=tuple(ids for grid in grids for ids in grid.support),
        video_users={k: v for grid in grids for k, v in grid.video_users.items()},
        user_cutoffs=tuple(
            cutoff
            for grid, cutoff in zip(grids, cutoffs, strict=True)
            for _ in grid.users
        ),
        challenge_cutoffs=tuple(
            cutoff
            for grid, cutoff in zip(grids, cutoffs, strict=True)
            for _ in grid.challenges
        ),
        settings={**grids[-1].settings, "cutoffs": list(cutoffs)}
        | ({"label_ends": list(ends)} if ends else {}),
        counts=grids[-1].counts,
    )


def label_ends(grid: Grid) -> dict[int, float]:
    """Returns the end of the label window of each cutoff of a joined grid.

    Returns:
        Cutoff to end, both in UTC seconds. Without `ends` in `join_cutoffs`, the end is
        the next cutoff, and infinity for the last one.
    """
    cutoffs = sorted(set(grid.user_cutoffs))
    following = dict(zip(cutoffs, [*cutoffs[1:], math.inf], strict=False))
    ends = grid.settings.get("label_ends", ())
    return following | dict(zip(grid.settings.get("cutoffs", ()), ends, strict=False))
