"""Computes the times of edges: first and last, and the periods in which they existed.

An edge by shared things is observed whenever one of two users posts a thing that the
other has posted before, or at the same second. With the times f_ut and l_ut of user u's
first and last post of thing t, its first time is the minimum over shared t of
max(f_ut, f_vt), and its last time the maximum of max(l_ut, l_vt).

An edge has spells: it exists in a period if the posts of that period alone create it,
and consecutive periods form one spell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.social.affiliations import Affiliations, encode_moments
from dc_keras.social.graph import Layer, SocialGraph

_EDGE = ("layer", "source", "target")
SCHEMA = {
    "layer": pl.String,
    "source": pl.String,
    "target": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
}


def add_edge_times(
    layer: Layer, moments: pl.DataFrame, affiliations: Affiliations
) -> Layer:
    """Returns a layer of shared things with the times of its edges.

    Args:
        layer: layer of `build_shared_layer`.
        moments: table of `find_moments`; rows without a time are ignored.
        affiliations: the affiliations of the layer; other things are ignored.
    """
    coded = encode_moments(
        moments.drop_nulls("time"), affiliations.users, affiliations.things
    )
    time = pl.col("time").cast(pl.Float64)
    spans = (
        coded.lazy().group_by("user", "thing").agg(first=time.min(), last=time.max())
    )
    upper = sparse.triu(layer.weights, k=1).tocoo()
    edges = pl.LazyFrame({"user": upper.row, "other": upper.col}).cast(pl.Int64)
    # Streamed, because a user may have many things.
    times = (
        edges.join(spans, on="user")
        .join(spans, left_on=("other", "thing"), right_on=("user", "thing"))
        .group_by("user", "other")
        .agg(
            pl.max_horizontal("first", "first_right").min(),
            pl.max_horizontal("last", "last_right").max(),
        )
        .collect(engine="streaming")
    )
    both = times.select("first", "last").to_numpy().T
    rows, columns = (times[name].to_numpy() for name in ("user", "other"))
    return replace(layer, times=mirror_times(layer.weights, rows, columns, both))


def mirror_times(
    weights: sparse.csr_array, rows: np.ndarray, columns: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Returns the times of edges in the order of a symmetric matrix.

    Args:
        weights: the matrix, symmetric and canonical.
        rows: rows of distinct edges, below `columns`.
        columns: columns of the edges.
        times: times of the edges, float64 (2, num_given).

    Returns:
        As for `Layer.times`, NaN for edges that were not given.
    """
    found = np.full((2, weights.nnz), np.nan)
    if not len(rows) or not weights.nnz:
        return found
    place = (rows, columns)
    number = sparse.csr_array((np.arange(1.0, len(rows) + 1), place), weights.shape)
    edges = weights.tocoo()
    low, high = np.minimum(edges.row, edges.col), np.maximum(edges.row, edges.col)
    at = np.asarray(number[low, high]).ravel().astype(np.int64) - 1
    found[:, at >= 0] = times[:, at[at >= 0]]
    return found


def find_spells(
    periods: Iterable[tuple[int, SocialGraph]], period_s: int
) -> pl.DataFrame:
    """Returns the spells of each edge of each layer.

    Args:
        periods: start, UTC seconds, and graph of each period, such as
            `building.iter_snapshots`.
        period_s: length of a period in seconds.

    Returns:
        `layer`, `source` and `target` (ids of users; the lower one first if
        undirected), `start`, inclusive, and `end`, exclusive, UTC seconds; sorted.
    """
    standing = [pl.DataFrame(schema=SCHEMA)]
    for start, graph in periods:
        users = pl.Series(graph.users, dtype=pl.String)
        for layer in graph.layers:
            weights = layer.weights
            edges = (
                weights if layer.is_directed else sparse.triu(weights, k=1)
            ).tocoo()
            columns = {"source": users[edges.row], "target": users[edges.col]}
            standing.append(
                pl.DataFrame(columns).select(
                    pl.lit(layer.name).alias("layer"),
                    "source",
                    "target",
                    pl.lit(start, pl.Int64).alias("start"),
                    pl.lit(start + period_s, pl.Int64).alias("end"),
                )
            )
    return _joined(pl.concat(standing), _EDGE)


def combine_spells(spells: pl.DataFrame, layers: Collection[str]) -> pl.DataFrame:
    """Returns the spells of edges in any of several layers, without direction.

    Returns:
        `source`, `target` (the lower id first), `start` and `end`, sorted.
    """
    counted = spells.filter(pl.col("layer").is_in(list(layers)))
    ends = ("source", "target")
    return _joined(
        counted.select(
            pl.min_horizontal(ends).alias("source"),
            pl.max_horizontal(ends).alias("target"),
            "start",
            "end",
        ),
        ends,
    )


def _joined(spells: pl.DataFrame, edge: tuple[str, ...]) -> pl.DataFrame:
    """Merges spells that touch or overlap."""
    ordered = spells.sort(*edge, "start", "end")
    before = pl.col("end").cum_max().shift(1).over(edge)
    is_new = (before.is_null() | (pl.col("start") > before)).cast(pl.Int64)
    return (
        ordered.with_columns(is_new.cum_sum().over(edge).alias("spell"))
        .group_by(*edge, "spell")
        .agg(pl.col("start").min(), pl.col("end").max())
        .sort(*edge, "start")
        .drop("spell")
    )
