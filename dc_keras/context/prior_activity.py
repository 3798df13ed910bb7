"""Activity of users before a cutoff: posts and joined challenges.

Histories have no posts of the study's challenges, because these would reveal labels.
With a cutoff, the challenges that a user joined before it are known and may be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from dc_keras.study.participation import Grid

_DAY = 86_400.0
NAMES = ("joined", "posts", "days")


def read_pasts(
    videos: pl.DataFrame, joins: pl.DataFrame, grids: Sequence[Grid]
) -> dict[tuple[str, int], np.ndarray]:
    """Returns the activity of users before the cutoffs of grids.

    Args:
        videos: the corpus's table of posts; posts without a date are ignored.
        joins: one row per post of a challenge, with the columns `video_id` and
            `challenge`, the name of the challenge.
        grids: grids that join several cutoffs; grids without `user_cutoffs` are
            ignored.

    Returns:
        float64 (3,) in the order of `NAMES`, by user id and cutoff: number of different
        challenges joined, of those in the grid at that cutoff; number of posts; days
        from the first post to the cutoff. Only posts before the cutoff count.
    """
    known = videos.select("video_id", "user_id", "create_time").drop_nulls()
    joined = joins.join(known, on="video_id")
    pasts: dict[tuple[str, int], np.ndarray] = {}
    for grid in grids:
        for cutoff in sorted(set(grid.user_cutoffs)):
            users = _at(grid.users, grid.user_cutoffs, cutoff)
            focal = _at(grid.challenges, grid.challenge_cutoffs, cutoff)
            counts = _counts(known, joined, users, focal, cutoff)
            pasts |= {(user, cutoff): np.array(row) for user, *row in counts}
    return pasts


def find_past(pasts: Mapping[tuple[str, int], np.ndarray], grid: Grid) -> np.ndarray:
    """Returns the activity of each row of a grid, float64 (num_users, 3).

    Args:
        pasts: result of `read_pasts`.
        grid: the grid; without `user_cutoffs`, all values are NaN.
    """
    unknown = np.full(len(NAMES), np.nan)
    if not grid.user_cutoffs:
        return np.tile(unknown, (len(grid.users), 1))
    keys = zip(grid.users, grid.user_cutoffs, strict=True)
    return np.array([pasts.get(key, unknown) for key in keys])


def _at(names: Sequence[str], cutoffs: Sequence[int], cutoff: int) -> list[str]:
    return [name for name, own in zip(names, cutoffs, strict=True) if own == cutoff]


def _counts(
    known: pl.DataFrame,
    joined: pl.DataFrame,
    users: Sequence[str],
    focal: Sequence[str],
    cutoff: int,
) -> list[tuple[str, float, float, float]]:
    """Returns user id, challenges joined, posts and days of each user."""
    is_past = pl.col("create_time") < cutoff
    posts = known.filter(is_past).group_by("user_id")
    joins = joined.filter(is_past & pl.col("challenge").is_in(focal))
    table = (
        pl.DataFrame({"user_id": users}, schema={"user_id": pl.String})
        .join(
            posts.agg(
                posts=pl.len(), days=(cutoff - pl.col("create_time").min()) / _DAY
            ),
            on="user_id",
            how="left",
        )
        .join(
            joins.group_by("user_id").agg(joined=pl.col("challenge").n_unique()),
            on="user_id",
            how="left",
        )
    )
    return table.select("user_id", pl.col(NAMES).fill_null(0).cast(pl.Float64)).rows()
