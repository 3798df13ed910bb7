"""When edges by shared things were seen: the first and the last time.

A edge by shared things is seen whenever one of two users posts a thing that the other
has posted before, or at the same second. With f_ut and l_ut the times of user u's first
and last post of thing t, it is first seen at the least, over shared t, of
max(f_ut, f_vt), and last at the largest of max(l_ut, l_vt).
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
    """First and last time of each thing of each user.

    Attributes:
        starts: int64 (num_users + 1,): where the things of each user begin.
        things: int64 (num_spans,), by user and thing.
        keys: int64 (num_spans,): user · num_things + thing, sorted.
        times: float64 (2, num_spans).
        num_things: how many there are.
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
        layer: of `build_shared_layer`.
        moments: of `find_moments`; those without a time say nothing.
        affiliations: what the layer was made of: things that it lacks do not count.
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
    """Returns times of edges, given from the lower row, in the order of the weights.

    Args:
        weights: symmetric and canonical.
        rows: below `columns`; some edges, each once.
        columns: likewise.
        times: float64 (2, num_given).

    Returns:
        As `Layer.times`, NaN of edges that were not given.
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
    """Yields edges a bounded number of look-ups at a time, one edge at least."""
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
    """Returns when each edge was first and last seen, NaN where no time says so."""
    lengths = np.diff(spans.starts)[rows]
    edge = np.repeat(np.arange(len(rows)), lengths)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    mine = spans.starts[rows][edge] + within
    wanted = columns[edge].astype(np.int64) * spans.num_things + spans.things[mine]
    theirs = np.searchsorted(spans.keys, wanted)
    theirs = np.minimum(theirs, max(len(spans.keys) - 1, 0))
    is_shared = spans.keys[theirs] == wanted if len(wanted) else np.zeros(0, bool)
    edge, mine, theirs = edge[is_shared], mine[is_shared], theirs[is_shared]
    seen = np.maximum(spans.times[:, mine], spans.times[:, theirs])
    first, last = np.full((2, len(rows)), np.nan)
    np.fmin.at(first, edge, seen[0])
    np.fmax.at(last, edge, seen[1])
    return first, last
