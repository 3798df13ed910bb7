"""Adoption of a challenge over time, and a test for adoption along edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.social.graph import Layer
from dc_keras.study.resolution import find_joins
from dc_keras.study.study import Study

DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Adoption:
    """The adopters of a challenge, and their times of adoption.

    Attributes:
        rows: distinct rows of the graph, int64 (num_adopters,).
        times: times of the adopters' first posts in the challenge, UTC seconds, int64
            (num_adopters,).
    """

    rows: np.ndarray
    times: np.ndarray

    def in_order(self) -> np.ndarray:
        """Returns the rows sorted by time, then by row."""
        order: np.ndarray = self.rows[np.lexsort((self.rows, self.times))]
        return order

    def until(self, time: float) -> Adoption:
        """Returns the adopters up to and including a time, UTC seconds."""
        is_kept = self.times <= time
        return Adoption(self.rows[is_kept], self.times[is_kept])


@dataclass(frozen=True)
class AlongEdges:
    """The result of a permutation test for adoption along edges.

    Attributes:
        num_edges: number of edges of the layer.
        share: share of adopters with an edge to an earlier adopter, in [0, 1].
        expected: mean share with the times shuffled among the adopters.
        p_value: (1 + b) / (1 + n), where b of n shuffles have at least this share
            (Phipson and Smyth 2010).
        num_adopters: number of adopters.
        num_shuffles: n, the number of shuffles.
    """

    num_edges: int
    share: float
    expected: float
    p_value: float
    num_adopters: int
    num_shuffles: int


def find_adoptions(
    study: Study, videos: pl.DataFrame, users: Sequence[str]
) -> dict[str, Adoption]:
    """Returns the adopters of each challenge of a Study, by name, also empty ones.

    Posts without a time are ignored. `users` are those of the graph, sorted.
    """
    known = pl.Series("user_id", users, dtype=pl.String)
    posts = videos.select("video_id", "user_id", "create_time").drop_nulls()
    posts = posts.filter(pl.col("user_id").is_in(known.implode()))
    firsts = (
        find_joins(study, videos)
        .join(posts, on="video_id")
        .group_by("challenge", "user_id")
        .agg(pl.col("create_time").min())
        .sort("challenge", "user_id")
    )
    adoptions = {}
    for column, challenge in enumerate(study.challenges):
        of_challenge = firsts.filter(pl.col("challenge") == column)
        rows = known.search_sorted(of_challenge["user_id"]).to_numpy()
        adoptions[challenge.name] = Adoption(
            rows.astype(np.int64), of_challenge["create_time"].to_numpy()
        )
    return adoptions


def adoption_curve(adoption: Adoption) -> pl.DataFrame:
    """Returns `day`, `new` and `cumulative`, one row per UTC day without gaps."""
    if not len(adoption.times):
        return pl.DataFrame(
            schema={"day": pl.Date, "new": pl.Int64, "cumulative": pl.Int64}
        )
    days = np.floor_divide(adoption.times, DAY_S)
    new = np.bincount(days - days.min())
    return pl.DataFrame(
        {
            "day": pl.Series(days.min() + np.arange(len(new)), dtype=pl.Int32).cast(
                pl.Date
            ),
            "new": new.astype(np.int64),
            "cumulative": np.cumsum(new).astype(np.int64),
        }
    )


def measure_along_edges(
    layer: Layer, adoption: Adoption, *, num_shuffles: int = 999, seed: int = 0
) -> AlongEdges:
    """Tests whether users adopt after their neighbours more often than by chance.

    The set of adopters is fixed, so the test controls for the similarity of connected
    users; only the times are shuffled. A small p-value indicates adoption along edges,
    or a common cause that reaches connected users at about the same time. The test does
    not distinguish the two.

    Args:
        layer: the edges; their direction and weight are ignored.
        adoption: the adopters, at least one.
        num_shuffles: number of shuffles, above 0.
        seed: seed of the shuffles.
    """
    order = np.argsort(adoption.rows)
    rows, times = adoption.rows[order], adoption.times[order]
    among = sparse.coo_array(layer.undirected().weights[rows][:, rows])
    share = _share_behind(among, times)
    generator = np.random.default_rng(seed)
    shuffled = np.array(
        [
            _share_behind(among, generator.permutation(times))
            for _ in range(num_shuffles)
        ]
    )
    # The tolerance allows for rounding of equal shares.
    as_large = int((shuffled >= share - 1e-12).sum())
    return AlongEdges(
        layer.num_edges,
        share,
        float(shuffled.mean()),
        (1 + as_large) / (1 + num_shuffles),
        len(rows),
        num_shuffles,
    )


def _share_behind(among: sparse.coo_array, times: np.ndarray) -> float:
    """Returns the share of adopters with an edge to an adopter of an earlier time."""
    behind = times[among.col] < times[among.row]
    return len(np.unique(among.row[behind])) / len(times)
