"""Computes the first and last times of edges by shared things.

An edge by shared things is observed whenever one of two users posts a thing that the
other has posted before, or at the same second. With the times f_ut and l_ut of user u's
first and last post of thing t, its first time is the minimum over shared t of
max(f_ut, f_vt), and its last time the maximum of max(l_ut, l_vt).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.social.affiliations import Affiliations, encode_moments
from dc_keras.social.graph import Layer

_LOOKUPS_PER_BLOCK = 2**21


@dataclass(frozen=True, eq=False)
class _Spans:
    """First and last times of each thing of each user.

    Attributes:
        starts: positions at which the things of each user begin, int64 (num_users +
            1,).
        things: things sorted by user and thing, int64 (num_spans,).
        keys: user · num_things + thing, sorted, int64 (num_spans,).
        times: first and last times, float64 (2, num_spans).
        num_things: number of things.
    """

    starts: np.ndarray
    things: np.ndarray
    keys: np.ndarray
    times: np.ndarray
    num_things: int


def add_edge_times(
    layer: Layer, moments: pl.DataFrame, affiliations: Affiliations
) -> Layer:
    """Returns a layer of shared things with the times of its edges.

    Args:
        layer: layer of `build_shared_layer`.
        moments: table of `find_moments`; rows without a time are ignored.
        affiliations: the affiliations of the layer; other things are ignored.
    """
    spans = _spans(moments, affiliations)
    upper = sparse.triu(layer.weights, k=1).tocoo()
    times = np.full((2, upper.nnz), np.nan)
    lengths = np.diff(spans.starts)[upper.row]
    for block in _blocks(lengths):
        first, last = _times_of(spans, upper.row[block], upper.col[block])
        times[:, block] = first, last
    return replace(
        layer, times=mirror_times(layer.weights, upper.row, upper.col, times)
    )


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


def _spans(moments: pl.DataFrame, affiliations: Affiliations) -> _Spans:
    coded = encode_moments(
        moments.drop_nulls("time"), affiliations.users, affiliations.things
    )
    time = pl.col("time").cast(pl.Float64)
    spans = (
        coded.group_by("user", "thing")
        .agg(time.min().alias("first"), time.max().alias("last"))
        .sort("user", "thing")
    )
    user, thing = spans["user"].to_numpy(), spans["thing"].to_numpy()
    num_things = max(len(affiliations.things), 1)
    return _Spans(
        np.searchsorted(user, np.arange(len(affiliations.users) + 1)),
        thing,
        user * num_things + thing,
        spans.select("first", "last").to_numpy().T,
        num_things,
    )


def _blocks(lengths: np.ndarray) -> Iterator[slice]:
    """Yields slices of edges with a limited number of look-ups."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        done = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, done + _LOOKUPS_PER_BLOCK, side="right"))
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop


def _times_of(
    spans: _Spans, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first and last times of edges, NaN if unknown."""
    lengths = np.diff(spans.starts)[rows]
    edge = np.repeat(np.arange(len(rows)), lengths)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    mine = spans.starts[rows][edge] + within
    keys = columns[edge].astype(np.int64) * spans.num_things + spans.things[mine]
    theirs = np.searchsorted(spans.keys, keys)
    theirs = np.minimum(theirs, max(len(spans.keys) - 1, 0))
    is_shared = spans.keys[theirs] == keys if len(keys) else np.zeros(0, bool)
    edge, mine, theirs = edge[is_shared], mine[is_shared], theirs[is_shared]
    times = np.maximum(spans.times[:, mine], spans.times[:, theirs])
    first, last = np.full((2, len(rows)), np.nan)
    np.fmin.at(first, edge, times[0])
    np.fmax.at(last, edge, times[1])
    return first, last
