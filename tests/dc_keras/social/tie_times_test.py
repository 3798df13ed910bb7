import numpy as np
import polars as pl
import pytest
from drawn_graphs import layer_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.social.affiliations import count_affiliations
from dc_keras.social.sharing import build_shared_layer
from dc_keras.social.tie_times import add_edge_times, mirror_times

_USERS = ("ann", "bob", "cid", "dan")
_posts = st.lists(
    st.tuples(
        st.sampled_from(_USERS),
        st.sampled_from("xyz"),
        st.none() | st.integers(1_000, 1_030),
    ),
    max_size=25,
)


def _timed(posts):
    schema = {"user_id": pl.String, "thing": pl.String, "time": pl.Int64}
    moments = pl.DataFrame(posts, schema=schema, orient="row")
    has = count_affiliations("hashtag", _USERS, moments)
    return add_edge_times(build_shared_layer(has, "count"), moments, has)


def _by_hand(posts, user, other):
    """Returns the first and last times of an edge by a loop over posts."""
    moments = [
        time
        for who, thing, time in posts
        for whom, same, then in posts
        if None not in (time, then) and thing == same and then <= time
        if {who, whom} == {user, other}
    ]
    return (min(moments), max(moments)) if moments else (np.nan, np.nan)


@settings(deadline=None)
@given(_posts)
def test_an_edge_is_seen_when_one_posts_what_the_other_has(posts):
    layer = _timed(posts)
    edges = layer.weights.tocoo()
    for u, v, first, last in zip(edges.row, edges.col, *layer.times, strict=True):
        expected = _by_hand(posts, _USERS[u], _USERS[v])
        assert (first, last) == pytest.approx(expected, nan_ok=True)


def test_weights_of_a_small_example():
    posts = [("ann", "x", 5), ("ann", "x", 9), ("bob", "x", 7), ("cid", "x", None)]
    layer = _timed(posts)
    first, last = layer.times_at(np.array([0, 1, 0]), np.array([1, 0, 2]))
    assert first.tolist()[:2] == [7, 7]
    assert last.tolist()[:2] == [9, 9]
    assert np.isnan([first[2], last[2]]).all()


def test_times_stand_at_both_ends():
    layer = layer_of([(0, 1, 1.0), (1, 2, 1.0)], 3)
    times = mirror_times(
        layer.weights, np.array([1, 0]), np.array([2, 1]), np.array([[5, 3], [6, 4.0]])
    )
    # 0-1, 1-0, 1-2, 2-1
    assert times.tolist() == [[3, 3, 5, 5], [4, 4, 6, 6]]
    none = np.zeros(0, np.int64)
    assert np.isnan(mirror_times(layer.weights, none, none, np.zeros((2, 0)))).all()
