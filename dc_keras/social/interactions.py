"""Directed edges between users: mentions, duets, replies, follows."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, to_canonical

KINDS = ("mention", "duet", "stitch", "reply", "follow", "suggested")


def build_interaction_layer(
    edges: pl.DataFrame,
    kind: str,
    users: tuple[str, ...],
    *,
    start: int | None = None,
    end: int | None = None,
) -> Layer:
    """Returns the layer of one kind of interaction, weighted by number.

    Args:
        edges: table of `corpus.edges.all_edges`.
        kind: one of `KINDS`.
        users: users of the graph, sorted. Edges to others, such as mentions of unknown
            handles, are ignored.
        start: start of the period, UTC seconds, inclusive; None for all.
        end: end of the period, UTC seconds, exclusive; None for all. With `start` or
            `end`, edges without a time, as many follows and suggestions are, are
            ignored.

    Raises:
        DataError: `kind` is unknown.
    """
    if kind not in KINDS:
        raise DataError(
            f"kind must be one of {', '.join(KINDS)}. Received: kind={kind}"
        )
    edges = edges.filter((pl.col("kind") == kind) & (pl.col("target_type") == "user"))
    if start is not None:
        edges = edges.filter(pl.col("time") >= start)
    if end is not None:
        edges = edges.filter(pl.col("time") < end)
    known = pl.Series("user_id", users, dtype=pl.String)
    edges = edges.filter(
        pl.col("user_id").is_in(known.implode())
        & pl.col("target_id").is_in(known.implode())
    )
    place = tuple(
        known.search_sorted(edges[name]).to_numpy() for name in ("user_id", "target_id")
    )
    shape = (len(users), len(users))
    weights = sparse.coo_array((np.ones(edges.height), place), shape)
    canonical_weights = to_canonical(weights.tocsr())
    times = _times_of(edges["time"], place, canonical_weights)
    return Layer(kind, canonical_weights, is_directed=True, times=times)


def _times_of(
    time: pl.Series, place: tuple[np.ndarray, ...], weights: sparse.csr_array
) -> np.ndarray:
    """Returns the first and last times of edges, as for `Layer.times`."""
    pairs = pl.DataFrame({"row": place[0], "column": place[1], "time": time})
    groups = pairs.filter(pl.col("row") != pl.col("column")).group_by("row", "column")
    # Sorted by row and column, the order of a matrix in canonical form.
    spans = groups.agg(
        pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
    ).sort("row", "column")
    times = spans.select(pl.col("first", "last").cast(pl.Float64)).to_numpy().T
    return times.reshape(2, weights.nnz)
