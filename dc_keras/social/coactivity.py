"""Edges between users who post the same thing within seconds of each other.

This is the method of CooRTweet (`detect_groups`) and of the coordination network
toolkit: it finds pairs of posts of one thing by two users at most a given number of
seconds apart. Posts are sorted by thing and time, and a sliding window creates only the
pairs inside it. Their number is known in advance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.affiliations import Affiliations, encode_moments
from dc_keras.social.graph import Layer, to_canonical
from dc_keras.social.sharing import (
    DEFAULT_MAX_BYTES,
    WEIGHTINGS,
    keep_strongest_edges,
    thing_sets,
    thing_vectors,
)
from dc_keras.social.tie_times import mirror_times

# Memory of a pair while it is sorted: users, thing, time, order and the copies.
_BYTES_PER_PAIR = 80
_PAIRS_PER_BLOCK = 2**21


@dataclass(frozen=True, eq=False)
class _Posts:
    """Posts sorted by thing and time.

    Attributes:
        users: user of each post, int64 (num_posts,).
        things: thing of each post, sorted, int64 (num_posts,).
        times: time of each post, sorted within a thing, int64 (num_posts,).
        later: number of later posts inside the window of each post, int64 (num_posts,).
    """

    users: np.ndarray
    things: np.ndarray
    times: np.ndarray
    later: np.ndarray


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Distinct pairs of users with the sums over their shared things.

    Attributes:
        low: lower row of each pair, int64 (num_pairs,).
        high: higher row of each pair, int64 (num_pairs,).
        weights: sums over shared things, float64 (num_pairs,).
        first: first times, UTC seconds, float64 (num_pairs,).
        last: last times, UTC seconds, float64 (num_pairs,).
    """

    low: np.ndarray
    high: np.ndarray
    weights: np.ndarray
    first: np.ndarray
    last: np.ndarray


def build_coactivity_layer(
    moments: pl.DataFrame,
    affiliations: Affiliations,
    within_s: int,
    weighting: str = "tfidf",
    *,
    top_k: int | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Layer:
    """Returns the layer "co-KIND" of users who posted the same thing within seconds.

    S_uv is the set of things that u and v posted at least once at most `within_s`
    apart, and A_u is the set of all things of u:

        count       |S_uv|
        jaccard     |S_uv| / (|A_u| + |A_v| − |S_uv|)
        whichtok    |S_uv| / ((|A_u| + |A_v|) / 2)
        cosine, tfidf, hyperbolic
                    as for `build_shared_layer`, summed over S_uv only

    If the window includes all posts, the weights equal those of `build_shared_layer`.

    Args:
        moments: table of `find_moments`; rows without a time are ignored.
        affiliations: the affiliations counted from it; other things are ignored.
        within_s: maximum time between two posts in seconds, 0 or more.
        weighting: one of `WEIGHTINGS`.
        top_k: number of strongest edges kept per user, at least 1; None keeps all.
        max_bytes: memory limit of the pairs of posts, 80 bytes each.

    Returns:
        The layer with its times: an edge is observed at the later post of a pair.

    Raises:
        DataError: `weighting` is unknown, `within_s` or `top_k` is out of range, or the
            pairs exceed `max_bytes`.
    """
    _check(within_s, weighting, top_k)
    posts = _sorted_posts(moments, affiliations, within_s)
    size = _BYTES_PER_PAIR * int(posts.later.sum())
    if size > max_bytes:
        raise DataError(
            f"pairs of posts by {affiliations.kind} within {within_s} s would take "
            f"{size / 2**30:.1f} GiB; exclude common things or use fewer seconds. "
            f"Received: within_s={within_s}, max_bytes={max_bytes}"
        )
    is_set = weighting in ("count", "jaccard", "whichtok")
    vectors = thing_sets(affiliations.counts)
    if not is_set:
        vectors = thing_vectors(affiliations.counts, weighting)
    pairs = _concat_blocks(
        [_sum_over_things(*block, vectors) for block in _pair_blocks(posts)]
    )
    weights = pairs.weights
    if weighting in ("jaccard", "whichtok"):
        sizes = np.diff(affiliations.counts.indptr)
        both = (sizes[pairs.low] + sizes[pairs.high]).astype(float)
        weights = weights / (both - weights if weighting == "jaccard" else both / 2)
    shape = (len(affiliations.users),) * 2
    upper = sparse.csr_array((weights, (pairs.low, pairs.high)), shape)
    edges = (
        keep_strongest_edges(upper + upper.T, top_k)
        if top_k
        else to_canonical(upper + upper.T)
    )
    times = mirror_times(
        edges, pairs.low, pairs.high, np.stack([pairs.first, pairs.last])
    )
    return Layer(f"co-{affiliations.kind}", edges, times=times)


def _check(within_s: int, weighting: str, top_k: int | None) -> None:
    if weighting not in WEIGHTINGS:
        raise DataError(
            f"weighting must be one of {', '.join(WEIGHTINGS)}. "
            f"Received: weighting={weighting}"
        )
    if within_s < 0 or (top_k is not None and top_k < 1):
        raise DataError(
            "within_s must be at least 0 and top_k at least 1. "
            f"Received: within_s={within_s}, top_k={top_k}"
        )


def _sorted_posts(
    moments: pl.DataFrame, affiliations: Affiliations, within_s: int
) -> _Posts:
    coded = encode_moments(
        moments.drop_nulls("time"), affiliations.users, affiliations.things
    ).sort("thing", "time", "user")
    users, things, times = (
        coded[name].to_numpy().astype(np.int64) for name in ("user", "thing", "time")
    )
    if not len(times):
        return _Posts(users, things, times, np.zeros(0, np.int64))
    within_s = min(within_s, int(np.ptp(times)))
    # One key per post, with gaps between things that no window spans.
    key = things * (int(np.ptp(times)) + within_s + 1) + times - times.min()
    behind = np.searchsorted(key, key + within_s, side="right")
    return _Posts(users, things, times, behind - np.arange(len(key)) - 1)


def _pair_blocks(
    posts: _Posts,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields users, users, things and times of pairs; each block has whole things."""
    _, begins = np.unique(posts.things, return_index=True)
    ends = np.append(begins[1:], len(posts.things))
    done = np.concatenate([[0], np.cumsum(posts.later)])
    at = 0
    while at < len(begins):
        limit = done[begins[at]] + _PAIRS_PER_BLOCK
        stop = max(int(np.searchsorted(done[ends], limit, side="right")), at + 1)
        part = slice(begins[at], ends[stop - 1])
        earlier = np.repeat(np.arange(part.start, part.stop), posts.later[part])
        start = done[part.start : part.stop] - done[part.start]
        offset = np.arange(len(earlier)) - np.repeat(start, posts.later[part])
        later = earlier + 1 + offset
        one, other = posts.users[earlier], posts.users[later]
        kept = one != other
        yield (
            np.minimum(one, other)[kept],
            np.maximum(one, other)[kept],
            posts.things[earlier][kept],
            posts.times[later][kept],
        )
        at = stop


def _sum_over_things(
    low: np.ndarray,
    high: np.ndarray,
    thing: np.ndarray,
    time: np.ndarray,
    vectors: sparse.csr_array,
) -> _Pairs:
    """Counts each thing of each pair once, and sums over things."""
    order = np.lexsort((time, thing, high, low))
    low, high, thing, time = (values[order] for values in (low, high, thing, time))
    begins = _find_starts(low, high, thing)
    last = np.maximum.reduceat(time, begins) if len(begins) else time
    low, high, thing = low[begins], high[begins], thing[begins]
    weights = np.zeros(0)
    if len(low):
        one, other = (np.asarray(vectors[u, thing]).ravel() for u in (low, high))
        weights = one * other
    return _sum_pairs(
        _Pairs(low, high, weights, time[begins].astype(float), last.astype(float))
    )


def _concat_blocks(blocks: list[_Pairs]) -> _Pairs:
    names = ("low", "high", "weights", "first", "last")
    if not blocks:
        rows = np.zeros(0, np.int64)
        return _Pairs(rows, rows, *(np.zeros(0) for _ in range(3)))
    values = [np.concatenate([getattr(b, name) for b in blocks]) for name in names]
    order = np.lexsort((values[1], values[0]))
    return _sum_pairs(_Pairs(*(value[order] for value in values)))


def _sum_pairs(pairs: _Pairs) -> _Pairs:
    """Sums adjacent rows of the same pair."""
    begins = _find_starts(pairs.low, pairs.high)
    if not len(begins):
        return pairs
    return _Pairs(
        pairs.low[begins],
        pairs.high[begins],
        np.add.reduceat(pairs.weights, begins),
        np.minimum.reduceat(pairs.first, begins),
        np.maximum.reduceat(pairs.last, begins),
    )


def _find_starts(*columns: np.ndarray) -> np.ndarray:
    """Returns the starts of runs of equal rows in sorted columns."""
    size = len(columns[0])
    is_new = np.zeros(size, bool)
    is_new[:1] = True
    for column in columns:
        is_new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(is_new)
