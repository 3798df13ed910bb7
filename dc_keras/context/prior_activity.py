"""What a user did before a cutoff: how much they posted and what they joined.

Histories are the newest posts without a focal challenge among them, which is all that
may be known of a user whose joins are asked about. Tomorrow is another question: what
the user joined before the cutoff is known then, and says much.
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
    """Reads what the users of grids that join several cutoffs did before each.

    Args:
        videos: the corpus's table of posts; those without a date do not count.
        joins: columns `video_id` and `challenge`, the name, a row a post that joins.
        grids: those without cutoffs of their own (`Grid.user_cutoffs`) are passed over.

    Returns:
        By user id and cutoff, float64 (3,), as `NAMES`: different challenges joined,
        of those that the grid has at that cutoff; posts; days from the first post to
        the cutoff. Nothing at or after the cutoff counts.
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
    """Returns each row's past, float64 (num_users, 3), NaN where unknown."""
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
    """User, challenges joined, posts and days, of each user."""
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
