import numpy as np
import pytest
from drawn_graphs import layer_of
from scipy import sparse

from dc_keras.social.graph import Layer, to_canonical
from dc_keras.social.naming import (
    _z_scores,
    describe_communities,
    inner_strength,
    membership_matrix,
)

# Two communities of six: one dances, the other reads, all of them use "fyp".
_NAMES = ("dance", "books", "fyp", "rare")
_MEMBERSHIP = np.repeat([0, 1], 6)


def _incidence():
    has = np.zeros((12, 4))
    has[:6, 0] = 1
    has[6:, 1] = 1
    has[:, 2] = 1
    has[3, 3] = 50
    return sparse.csr_array(has)


_LAYER = layer_of([(0, 1, 1.0), (1, 2, 2.0), (6, 7, 5.0), (5, 6, 100.0)], 12)


def test_communities_are_named_by_what_sets_them_apart():
    dancers, readers = describe_communities(_LAYER, _MEMBERSHIP, _incidence(), _NAMES)
    assert (dancers.name, readers.name) == ("dance", "books")


def test_a_z_score_equals_the_formula():
    counts = membership_matrix(_MEMBERSHIP) @ (_incidence() > 0).astype(float)
    # Counts: dance 6 of 13 here, 0 of 12 there; the prior a tenth of the whole.
    a, a0 = 0.6, 2.5
    odds = np.log((6 + a) / (13 + a0 - 6 - a)) - np.log((0 + a) / (12 + a0 - 0 - a))
    expected = odds / np.sqrt(1 / (6 + a) + 1 / (0 + a))
    assert _z_scores(sparse.csr_array(counts))[0] == pytest.approx(expected, rel=1e-12)


def test_the_number_of_uses_has_no_influence():
    dancers, _ = describe_communities(_LAYER, _MEMBERSHIP, _incidence(), _NAMES)
    assert "rare" not in dancers.name


def test_central_users_are_those_with_the_strongest_edges_inside():
    dancers, readers = describe_communities(_LAYER, _MEMBERSHIP, _incidence(), _NAMES)
    assert dancers.central == (1, 2, 0, 3, 4)  # 3, 2, 1, and none
    assert readers.central[:2] == (6, 7)


def test_the_edge_between_communities_is_not_inside():
    assert inner_strength(_LAYER, _MEMBERSHIP)[5] == 0
    directed = layer_of([(0, 1, 2.0), (5, 6, 1.0)], 12, is_directed=True)
    assert inner_strength(directed, _MEMBERSHIP)[:3].tolist() == [2.0, 2.0, 0.0]


def test_communities_without_traits_are_named_by_number():
    nothing = sparse.csr_array((12, 4))
    first, second = describe_communities(_LAYER, _MEMBERSHIP, nothing, _NAMES)
    assert (first.name, second.name) == ("community 0", "community 1")
    one = describe_communities(_LAYER, np.zeros(12, int), _incidence(), _NAMES)
    assert [profile.name for profile in one] == ["community 0"]
    assert (
        describe_communities(
            layer_of([], 0), np.zeros(0, int), sparse.csr_array((0, 4)), _NAMES
        )
        == []
    )


def test_names_do_not_depend_on_the_order_of_users():
    order = np.random.default_rng(0).permutation(12)
    shuffled = describe_communities(
        Layer("x", to_canonical(_LAYER.weights[order][:, order])),
        _MEMBERSHIP[order],
        _incidence()[order],
        _NAMES,
    )
    plain = describe_communities(_LAYER, _MEMBERSHIP, _incidence(), _NAMES)
    assert [p.name for p in shuffled] == [p.name for p in plain]
    assert {int(order[row]) for row in shuffled[1].central[:2]} == {6, 7}


def test_a_matrix_of_members_has_each_user_once():
    matrix = membership_matrix(np.array([1, 0, 1])).toarray()
    assert matrix.tolist() == [[0, 1, 0], [1, 0, 1]]
