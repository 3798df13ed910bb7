"""What place each user has in a layer: a row a user."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.to_igraph import to_igraph

# Exact betweenness of so many users takes seconds; its time grows with users × edges.
EXACT_BETWEENNESS = 5_000
NUM_PIVOTS = 256


def measure_users(
    graph: SocialGraph,
    layer: Layer,
    *,
    seed: int = 0,
    exact_up_to: int = EXACT_BETWEENNESS,
    num_pivots: int = NUM_PIVOTS,
) -> pl.DataFrame:
    """Returns the measures of a layer, a row a user in the order of the graph.

    Columns: `user_id`; `degree`, the users connected; `strength`, the weight of edges
    (both ways where they have direction); `pagerank`, by weight and direction, summing
    to 1 (Page et al. 1999, damping 0.85); `core`, the largest k such that the user is
    among users with k edges to each other (Seidman 1983); `bridges`, the edges without
    which the graph would fall apart there; `betweenness`, the shortest ways by number
    of edges between all pairs of others that lead through the user (Freeman 1977); and
    `betweenness_is_exact`.

    Args:
        graph: whose users.
        layer: the edges; direction counts for PageRank alone.
        seed: of the pivots.
        exact_up_to: betweenness is exact up to so many users, and sampled from ways
            that begin at `num_pivots` of them beyond (Brandes and Pich 2007).
        num_pivots: above 0.

    Raises:
        DataError: a layer of other users, or no pivot.
    """
    num_users = len(graph.users)
    if layer.weights.shape[0] != num_users or num_pivots < 1:
        raise DataError(
            "a layer must have a row a user, and pivots be above 0. Received: rows="
            f"{layer.weights.shape[0]}, users={num_users}, num_pivots={num_pivots}"
        )
    connected = layer.undirected()
    edges = to_igraph(connected)
    directed = to_igraph(layer) if layer.is_directed else edges
    is_exact = num_users <= max(exact_up_to, num_pivots)
    pivots = None if is_exact else _pivots(num_users, num_pivots, seed)
    return pl.DataFrame(
        {
            "user_id": graph.users,
            "degree": np.diff(connected.weights.indptr).astype(np.int64),
            "strength": np.asarray(connected.weights.sum(axis=1), np.float64),
            "pagerank": np.asarray(directed.pagerank(weights="weight"), np.float64),
            "core": np.asarray(edges.coreness(), np.int64),
            "bridges": _bridges(edges),
            "betweenness": _betweenness(edges, pivots),
        },
        schema_overrides={"user_id": pl.String},
    ).with_columns(pl.lit(is_exact).alias("betweenness_is_exact"))


def _pivots(num_users: int, num_pivots: int, seed: int) -> list[int]:
    generator = np.random.default_rng(seed)
    drawn: list[int] = generator.choice(num_users, num_pivots, replace=False).tolist()
    return sorted(drawn)


def _betweenness(edges: Any, pivots: list[int] | None) -> np.ndarray:
    """Returns float64 (num_users,); from pivots, an estimate without bias."""
    if pivots is None:
        return np.asarray(edges.betweenness(directed=False), np.float64)
    # igraph halves what it counts where edges have no direction, pivots or not.
    found = np.asarray(edges.betweenness(directed=False, sources=pivots), np.float64)
    num_users = edges.vcount()
    # A way that begins at the user leads through nobody: pivots have one less.
    beginnings = np.full(num_users, float(len(pivots)))
    beginnings[pivots] -= 1
    scale = np.divide(
        num_users - 1, beginnings, out=np.zeros(num_users), where=beginnings > 0
    )
    estimate: np.ndarray = found * scale
    return estimate


def _bridges(edges: Any) -> np.ndarray:
    """Returns int64 (num_users,): how many bridges end at each user."""
    ends = [end for edge in edges.bridges() for end in edges.es[edge].tuple]
    return np.bincount(np.asarray(ends, np.int64), minlength=edges.vcount())
