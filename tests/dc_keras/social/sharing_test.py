import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.errors import DataError
from dc_keras.social.affiliations import count_affiliations
from dc_keras.social.sharing import (
    WEIGHTINGS,
    build_shared_layer,
    build_similarity_layer,
    product_bytes,
)

_HAS = {
    "ann": ["cats", "cats", "dance"],
    "bob": ["cats", "dance", "food"],
    "cid": ["food"],
    "dan": [],
}


def _count(has):
    rows = [(user, thing) for user, things in has.items() for thing in things]
    schema = {"user_id": pl.String, "thing": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return count_affiliations("hashtag", has, table)


def _weights(has, weighting, **options):
    return build_shared_layer(_count(has), weighting, **options).weights.toarray()


def _by_hand(has, weighting):
    """Returns whichtok's weights by a loop over pairs of users."""
    users = sorted(has)
    found = np.zeros((len(users),) * 2)
    everybody = [set(has[user]) for user in users]
    for i, j in itertools.permutations(range(len(users)), 2):
        a, b = everybody[i], everybody[j]
        shared = a & b
        if not shared:
            continue
        found[i, j] = {
            "count": len(shared),
            "jaccard": len(shared) / len(a | b),
            "whichtok": len(shared) / ((len(a) + len(b)) / 2),
            "hyperbolic": sum(
                1 / (sum(thing in other for other in everybody) - 1) for thing in shared
            ),
        }[weighting]
    return found


_SETS = ("count", "jaccard", "whichtok", "hyperbolic")


@pytest.mark.parametrize("weighting", _SETS)
def test_weights_are_those_of_the_formula(weighting):
    np.testing.assert_allclose(
        _weights(_HAS, weighting), _by_hand(_HAS, weighting), atol=1e-12
    )


_USERS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.lists(st.sampled_from("vwxyz"), max_size=6),
    min_size=1,
    max_size=9,
)


@given(has=_USERS, weighting=st.sampled_from(_SETS))
@settings(max_examples=60, deadline=None)
def test_weights_equal_the_formula_for_any_users(has, weighting):
    np.testing.assert_allclose(
        _weights(has, weighting), _by_hand(has, weighting), atol=1e-9
    )


@given(has=_USERS, weighting=st.sampled_from(WEIGHTINGS), top_k=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_edges_are_symmetric_and_the_strongest_of_an_end(has, weighting, top_k):
    # `Layer` checks symmetry, weights above zero and the diagonal.
    whole = _weights(has, weighting)
    part = _weights(has, weighting, top_k=top_k)
    kept = part > 0
    np.testing.assert_allclose(part[kept], whole[kept], atol=1e-9)
    for user, row in enumerate(whole):
        strongest = np.sort(row[row > 0])[::-1][:top_k]
        found = np.sort(part[user][kept[user]])[::-1][: len(strongest)]
        np.testing.assert_allclose(found, strongest, atol=1e-9)


def test_cosines_are_of_counts_and_of_rare_things():
    cosine = _weights(_HAS, "cosine")
    assert cosine[0, 1] == pytest.approx(3 / np.sqrt(5 * 3))
    assert cosine[0, 2] == 0
    # What all but one have says little: tf-idf edges bob to cid, who share food, more.
    rare = _weights({**_HAS, "cid": ["food", "cats"]}, "tfidf")
    assert rare[1, 2] > rare[0, 1]
    assert np.all(rare <= 1 + 1e-12)


def test_a_product_too_large_is_refused_before_it_is_made():
    affiliations = _count({f"u{i}": ["everybody"] for i in range(100)})
    assert product_bytes(affiliations) == 12 * 100**2
    with pytest.raises(DataError, match=r"would take 0\.0 GiB.*max_bytes=1000"):
        build_shared_layer(affiliations, max_bytes=1000)
    assert (
        build_shared_layer(affiliations, "count", top_k=2, max_bytes=1000).num_edges
        >= 100
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [({"weighting": "best"}, "weighting=best"), ({"top_k": 0}, "top_k=0")],
)
def test_invalid_weightings_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        build_shared_layer(_count(_HAS), **options)


def test_rare_things_create_no_edges():
    kept = _count(_HAS).without_rare(2)
    assert kept.things == ("cats", "dance", "food")
    assert _count(_HAS).without_rare(3).things == ()
    assert _count(_HAS).without_common(1).things == ()


def test_similar_representations_are_connected():
    vectors = np.array([[1, 0], [2, 0.1], [0, 1], [0, 0], [0, 3.0]])
    weights = build_similarity_layer("similar", vectors, 1).weights.toarray()
    assert weights[0, 1] == pytest.approx(2 / np.sqrt(4.01))
    assert weights[2, 4] == pytest.approx(1)
    assert np.count_nonzero(weights) == 4
    assert not weights[3].any()
