"""Edges between users who post the same thing within seconds of each other.

This is the method of CooRTweet (`detect_groups`) and of the coordination network
toolkit: it finds pairs of posts of one thing by two users at most a given number of
seconds apart. Posts are sorted by thing and time, and a sliding window creates only the
pairs inside it. Their number is known in advance.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.affiliations import Affiliations, encode_moments
from dc_keras.social.graph import Layer
from dc_keras.social.sharing import (
    DEFAULT_MAX_BYTES,
    check_weighting,
    keep_strongest_edges,
    thing_sets,
    thing_vectors,
)

# Memory of a pair while pairs are counted: users, thing, time, and the copies.
_BYTES_PER_PAIR = 80


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

    Raises:
        DataError: `weighting` is unknown, `top_k` is out of range, or the pairs exceed
            `max_bytes`.
    """
    check_weighting(weighting, top_k)
    posts, later = _sorted_posts(moments, affiliations, within_s)
    size = _BYTES_PER_PAIR * int(later.sum())
    if size > max_bytes:
        raise DataError(
            f"pairs of posts by {affiliations.kind} within {within_s} s would take "
            f"{size / 2**30:.1f} GiB; exclude common things or use fewer seconds. "
            f"Received: within_s={within_s}, max_bytes={max_bytes}"
        )
    pairs = _find_pairs(posts, later)
    low, high, thing = (pairs[name].to_numpy() for name in ("low", "high", "thing"))
    vectors = thing_sets(affiliations.counts)
    if weighting not in ("count", "jaccard", "whichtok"):
        vectors = thing_vectors(affiliations.counts, weighting)
    products = np.zeros(0)
    if len(low):
        one, other = (np.asarray(vectors[user, thing]).ravel() for user in (low, high))
        products = one * other
    shape = (len(affiliations.users),) * 2
    upper = sparse.csr_array((products, (low, high)), shape)  # sums over things
    if weighting in ("jaccard", "whichtok"):
        sizes = np.diff(affiliations.counts.indptr)
        edges = upper.tocoo()
        both = (sizes[edges.row] + sizes[edges.col]).astype(float)
        upper.data /= both - upper.data if weighting == "jaccard" else both / 2
    weights = keep_strongest_edges(upper + upper.T, top_k)
    return Layer(f"co-{affiliations.kind}", weights)


def _sorted_posts(
    moments: pl.DataFrame, affiliations: Affiliations, within_s: int
) -> tuple[pl.DataFrame, np.ndarray]:
    """Returns posts sorted by thing and time, and the number of those behind each.

    Returns:
        `user`, `thing` and `time`; the number of later posts of the thing inside the
        window of each post, int64 (num_posts,).
    """
    posts = encode_moments(
        moments.drop_nulls("time"), affiliations.users, affiliations.things
    ).sort("thing", "time", "user")
    if posts.is_empty():
        return posts, np.zeros(0, np.int64)
    things, times = (posts[name].to_numpy() for name in ("thing", "time"))
    within_s = min(within_s, int(np.ptp(times)))
    # One key per post, with gaps between things that no window spans.
    key = things * (int(np.ptp(times)) + within_s + 1) + times - times.min()
    behind = np.searchsorted(key, key + within_s, side="right")
    return posts, behind - np.arange(len(key)) - 1


def _find_pairs(posts: pl.DataFrame, later: np.ndarray) -> pl.DataFrame:
    """Returns `low` and `high`, rows of two users, and a `thing` that they share.

    Each thing that they share within the window is listed once, sorted.
    """
    earlier = np.repeat(np.arange(posts.height), later)
    begins = np.repeat(np.cumsum(later) - later, later)
    second = earlier + 1 + np.arange(len(earlier)) - begins
    users = posts["user"].to_numpy()
    return (
        pl.DataFrame(
            {
                "low": np.minimum(users[earlier], users[second]),
                "high": np.maximum(users[earlier], users[second]),
                "thing": posts["thing"].gather(earlier),
            }
        )
        .filter(pl.col("low") < pl.col("high"))
        .unique()
        .sort("low", "high", "thing")
    )
