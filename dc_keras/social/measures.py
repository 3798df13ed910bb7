"""Centrality measures of users."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.to_igraph import to_igraph

# Up to this number of users, exact betweenness takes seconds; its time is proportional
# to users × edges.
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
    """Returns the measures of a layer, one row per user in the order of the graph.

    Columns: `user_id`; `degree`, the number of neighbours; `strength`, the weight of
    edges (in both directions); `pagerank`, with weights and directions, summing to 1
    (Page et al. 1999, damping 0.85); `core`, the core number (Seidman 1983); `bridges`,
    the number of bridges that end at the user; `betweenness`, the number of shortest
    paths, by number of edges, between pairs of other users that pass through the user
    (Freeman 1977); and `betweenness_is_exact`.

    Args:
        graph: the graph.
        layer: the layer; only PageRank uses directions.
        seed: seed of the pivots.
        exact_up_to: maximum number of users for exact betweenness; for more users it is
            estimated from the paths of `num_pivots` users (Brandes and Pich 2007).
        num_pivots: number of pivots, above 0.
    """
    num_users = len(graph.users)
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
    """Returns the exact betweenness or an unbiased estimate, float64 (num_users,)."""
    if pivots is None:
        return np.asarray(edges.betweenness(directed=False), np.float64)
    # igraph halves the counts of undirected graphs, also with pivots.
    counts = np.asarray(edges.betweenness(directed=False, sources=pivots), np.float64)
    num_users = edges.vcount()
    # Paths that begin at the user itself do not count, so pivots have one start less.
    beginnings = np.full(num_users, float(len(pivots)))
    beginnings[pivots] -= 1
    scale = np.divide(
        num_users - 1, beginnings, out=np.zeros(num_users), where=beginnings > 0
    )
    estimate: np.ndarray = counts * scale
    return estimate


def _bridges(edges: Any) -> np.ndarray:
    """Returns the number of bridges that end at each user, int64 (num_users,)."""
    ends = [end for edge in edges.bridges() for end in edges.es[edge].tuple]
    return np.bincount(np.asarray(ends, np.int64), minlength=edges.vcount())
