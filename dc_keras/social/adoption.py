"""How a challenge was taken up: over time, and along edges or past them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer
from dc_keras.study.participation import find_joins
from dc_keras.study.study import Study

DAY_S = 86_400


@dataclass(frozen=True, eq=False)
class Adoption:
    """Who took up a challenge, and when.

    Attributes:
        rows: int64 (num_adopters,): rows of the graph, without repeats.
        times: int64 (num_adopters,): of each one's first post in it, UTC seconds.
    """

    rows: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        if self.rows.shape != self.times.shape or len(np.unique(self.rows)) < len(
            self.rows
        ):
            raise DataError(
                "adopters must be there once each, with a time. Received: "
                f"rows={self.rows.shape}, times={self.times.shape}"
            )

    def in_order(self) -> np.ndarray:
        """Returns the rows by time, equal times by row."""
        order: np.ndarray = self.rows[np.lexsort((self.rows, self.times))]
        return order

    def until(self, time: float) -> Adoption:
        """Returns the adopters up to a time, UTC seconds, that one among it."""
        is_kept = self.times <= time
        return Adoption(self.rows[is_kept], self.times[is_kept])


@dataclass(frozen=True)
class AlongEdges:
    """Whether adoption ran along edges, against the same adopters at shuffled times.

    Attributes:
        share: adopters with a edge to somebody who adopted before them, in [0, 1].
        expected: mean of that share where times are shuffled among the adopters.
        p_value: (1 + b) / (1 + n), b of n shuffles with at least this share (Phipson
            and Smyth 2010).
        num_adopters: how many there are.
        num_shuffles: n.
    """

    share: float
    expected: float
    p_value: float
    num_adopters: int
    num_shuffles: int


def find_adoptions(
    study: Study, videos: pl.DataFrame, users: Sequence[str]
) -> dict[str, Adoption]:
    """Returns who took up each challenge of a Study, and when.

    Args:
        study: names the challenges.
        videos: the posts of a corpus; those without a time are left out.
        users: of the graph, sorted.

    Returns:
        By name, in the order of the Study, also those that nobody took up.
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
    """Returns a row a day (UTC), without gaps: `day`, `new` and `cumulative`."""
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
    """Tests whether adopters follow those they are connected to sooner than chance.

    Who adopts is kept, and with it that friends are alike; only the order is shuffled.
    A small p-value speaks for adoption along edges, or for whatever reaches connected
    users at about the same time: it does not tell these apart.

    Args:
        layer: edges, whatever their direction and weight.
        adoption: who adopted, and when.
        num_shuffles: above 0.
        seed: of the shuffles.

    Raises:
        DataError: no adopter, or no shuffle.
    """
    if num_shuffles < 1 or not len(adoption.rows):
        raise DataError(
            "the test must have an adopter and a shuffle. Received: "
            f"adopters={len(adoption.rows)}, num_shuffles={num_shuffles}"
        )
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
    # Shares are whole numbers over the adopters: equal ones may differ by a last digit.
    as_large = int((shuffled >= share - 1e-12).sum())
    return AlongEdges(
        share,
        float(shuffled.mean()),
        (1 + as_large) / (1 + num_shuffles),
        len(rows),
        num_shuffles,
    )


def _share_behind(among: sparse.coo_array, times: np.ndarray) -> float:
    """Returns the share of adopters connected to somebody with an earlier time."""
    behind = times[among.col] < times[among.row]
    return len(np.unique(among.row[behind])) / len(times)
