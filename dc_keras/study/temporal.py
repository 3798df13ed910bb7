"""Tomorrow: one Study at several cutoffs, the last of which is judged.

At each cutoff t everything is as in `grid.resolve_grid`: histories, support and panel
from before t. The label is whether the user joins in [t, t + horizon). What happened
after an earlier cutoff trains, what happens after the last one judges, and no label
window reaches beyond the last cutoff but those of the last.
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
    """Resolves a Study at its cutoff and at earlier ones, a horizon apart.

    Args:
        study: with a cutoff, the one that is judged.
        videos: the corpus's table of posts.
        support: as for `resolve_grid`.
        horizon_days: length of the label windows, at least 1.
        num_past: number of earlier cutoffs, at least 1.

    Returns:
        One grid of all cutoffs; pairs exist within a cutoff only.

    Raises:
        DataError: no cutoff, or nobody in the panel at one of them.
    """
    if study.cutoff is None:
        raise DataError(
            "temporal needs a `cutoff` in the study, and --use_cutoff. Received: none"
        )
    for name, value in (("horizon_days", horizon_days), ("num_past", num_past)):
        if value < 1:
            raise DataError(f"`{name}` must be at least 1. Received: {name}={value}")
    horizon = horizon_days * _DAY_S
    grids = []
    for steps in range(num_past, -1, -1):
        cutoff = study.cutoff - steps * horizon
        # What is not yet posted at the end of the window is not yet known.
        known = videos.filter(
            pl.col("create_time").is_null() | (pl.col("create_time") < cutoff + horizon)
        )
        grids.append(resolve_grid(study.with_settings(cutoff=cutoff), known, support))
    joined = join_cutoffs(grids, [int(grid.settings["cutoff"]) for grid in grids])
    # How long a label window is, the cutoffs alone do not say.
    settings = {**joined.settings, "horizon_days": horizon_days}
    return replace(joined, settings=settings)


def join_cutoffs(
    grids: Sequence[Grid], cutoffs: Sequence[int], ends: Sequence[int] = ()
) -> Grid:
    """Joins grids of several cutoffs into one.

    Args:
        grids: in order of time.
        cutoffs: UTC seconds, of each grid.
        ends: UTC seconds, of each grid the end of the window in which joining counts;
            none where each ends by the next cutoff.

    Returns:
        Rows and columns one grid after another; a user or challenge of several cutoffs
        stands once for each, under the same name. Users who describe challenges have no
        histories there: at which cutoff would be open.
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
    """Returns when the labels of each cutoff of a joined grid were complete.

    Returns:
        By cutoff, UTC seconds: the end that `join_cutoffs` was told, or else the next
        cutoff, and infinity for the last.
    """
    cutoffs = sorted(set(grid.user_cutoffs))
    following = dict(zip(cutoffs, [*cutoffs[1:], math.inf], strict=False))
    told = grid.settings.get("label_ends", ())
    return following | dict(zip(grid.settings.get("cutoffs", ()), told, strict=False))
