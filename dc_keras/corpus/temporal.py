"""Tomorrow: one Study at several cutoffs, the last of which is judged.

At each cutoff t everything is as in `grid.resolve_grid`: histories, support and panel
from before t. The label is whether the user joins in [t, t + horizon). What happened
after an earlier cutoff trains, what happens after the last one judges, and no label
window reaches beyond the last cutoff but those of the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from dc_keras.corpus.grid import Grid, resolve_grid
from dc_keras.corpus.study import Study
from dc_keras.errors import DataError

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


def join_cutoffs(grids: Sequence[Grid], cutoffs: Sequence[int]) -> Grid:
    """Joins grids of several cutoffs into one.

    Args:
        grids: in order of time.
        cutoffs: UTC seconds, of each grid.

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
        settings={**grids[-1].settings, "cutoffs": list(cutoffs)},
        counts=grids[-1].counts,
    )
