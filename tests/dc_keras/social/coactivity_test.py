from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dc_keras.errors import DataError
from dc_keras.social.affiliations import count_affiliations
from dc_keras.social.coactivity import build_coactivity_layer
from dc_keras.social.sharing import WEIGHTINGS, build_shared_layer

_USERS = ("ann", "bob", "cid", "dan")
_posts = st.lists(
    st.tuples(
        st.sampled_from(_USERS), st.sampled_from("xyz"), st.integers(1_000, 1_030)
    ),
    max_size=25,
)


def _made(posts):
    schema = {"user_id": pl.String, "thing": pl.String, "time": pl.Int64}
    moments = pl.DataFrame(posts, schema=schema, orient="row")
    return moments, count_affiliations("hashtag", _USERS, moments)


def _by_hand(posts, within_s, weighting):
    """Returns the weights of edges by a loop over pairs of posts."""
    posts = [post for post in posts if post[2] is not None]
    seen = {}
    for one, other in combinations(posts, 2):
        (u, t, at), (v, s, then) = one, other
        if t == s and u != v and abs(at - then) <= within_s:
            edge = tuple(sorted((_USERS.index(u), _USERS.index(v))))
            seen.setdefault(edge, set()).add(t)
    _, has = _made(posts)
    counts = has.counts.toarray()
    num_users = (counts > 0).sum(axis=0)
    with np.errstate(divide="ignore"):
        scores = {
            "cosine": counts,
            "tfidf": np.where(counts, 1 + np.log(counts), 0) * np.log(4 / num_users),
            # A thing of one user creates no edge.
            "hyperbolic": (counts > 0) / np.sqrt(np.maximum(num_users - 1.0, 1)),
        }.get(weighting, counts > 0)
    weights = {}
    for (u, v), things in seen.items():
        at = [has.things.index(t) for t in things]
        weight = float(sum(float(scores[u, t]) * float(scores[v, t]) for t in at))
        sizes = (counts[u] > 0).sum() + (counts[v] > 0).sum()
        if weighting in ("cosine", "tfidf") and weight:
            weight /= np.linalg.norm(scores[u]) * np.linalg.norm(scores[v])
        if weighting == "jaccard":
            weight /= sizes - weight
        if weighting == "whichtok":
            weight /= sizes / 2
        if weight > 0:
            weights[u, v] = weight
    return weights


def _found(layer):
    edges = layer.weights.tocoo()
    rows = zip(edges.row, edges.col, edges.data, strict=True)
    return {(int(u), int(v)): float(weight) for u, v, weight in rows if u < v}


@settings(deadline=None)
@given(_posts, st.integers(0, 12), st.sampled_from(WEIGHTINGS))
@example([], 3, "count")
@example([("ann", "x", 1_000), ("bob", "x", 1_030), ("ann", "y", 1_030)], 30, "tfidf")
def test_edges_equal_those_of_a_double_loop(posts, within_s, weighting):
    layer = build_coactivity_layer(*_made(posts), within_s, weighting)
    expected = _by_hand(posts, within_s, weighting)
    found = _found(layer)
    assert found.keys() == expected.keys()
    for edge, values in expected.items():
        assert found[edge] == pytest.approx(values)


@settings(deadline=None)
@given(_posts, st.sampled_from(WEIGHTINGS))
def test_a_window_of_everything_is_no_window(posts, weighting):
    moments, has = _made(posts)
    layer = build_coactivity_layer(moments, has, 10**9, weighting)
    whole = build_shared_layer(has, weighting)
    assert layer.weights.toarray() == pytest.approx(whole.weights.toarray())


@settings(deadline=None)
@given(_posts, st.integers(0, 12), st.integers(1, 2))
def test_the_strongest_are_those_of_either_end(posts, within_s, top_k):
    every = build_coactivity_layer(*_made(posts), within_s, "count")
    layer = build_coactivity_layer(*_made(posts), within_s, "count", top_k=top_k)
    kept = layer.weights.toarray()
    for row, weights in zip(kept, every.weights.toarray(), strict=True):
        best = np.sort(weights)[::-1][:top_k]
        assert np.sort(row)[::-1][:top_k].tolist() == best.tolist()
    assert set(_found(layer).items()) <= set(_found(every).items())


def test_posts_without_a_time_create_no_edges():
    posts = [("ann", "x", None), ("bob", "x", 1_000), ("cid", "x", 1_001)]
    layer = build_coactivity_layer(*_made(posts), 5, "count")
    assert _found(layer) == {(1, 2): 1.0}


def test_excluded_things_create_no_edges():
    moments, has = _made([("ann", "x", 0), ("bob", "x", 1), ("cid", "x", 2)])
    assert build_coactivity_layer(moments, has.without_common(2), 5).num_edges == 0


def test_large_products_are_refused_in_advance():
    # 1,000 posts of one thing in one second: 499,500 pairs of 80 bytes.
    posts = [(_USERS[n % 4], "x", 1_000) for n in range(1_000)]
    moments, has = _made(posts)
    with pytest.raises(DataError, match=r"within 0 s would take 0.0 GiB.*within_s=0"):
        build_coactivity_layer(moments, has, 0, max_bytes=80 * 499_499)
    assert (
        build_coactivity_layer(
            moments, has, 0, "count", max_bytes=80 * 499_500
        ).num_edges
        == 6
    )


@pytest.mark.parametrize(
    ("weighting", "top_k", "rule"),
    [("count", 0, "top_k=0"), ("weight", None, "weighting=weight")],
)
def test_invalid_weightings_are_refused(weighting, top_k, rule):
    with pytest.raises(DataError, match=rf"Received: .*{rule}"):
        build_coactivity_layer(*_made([]), 1, weighting, top_k=top_k)
