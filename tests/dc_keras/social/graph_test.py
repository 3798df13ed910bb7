import numpy as np
import pytest
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph, to_canonical


def _layer(name, weights, **options):
    return Layer(
        name, to_canonical(sparse.csr_array(np.array(weights, float))), **options
    )


_SHARED = _layer("shared", [[0, 2, 0], [2, 0, 1], [0, 1, 0]])
_MENTION = _layer("mention", [[0, 1, 0], [0, 0, 0], [3, 0, 0]], is_directed=True)
_GRAPH = SocialGraph(("a", "b", "c"), (_SHARED, _MENTION))


def test_edges_are_counted_once():
    assert (_SHARED.num_edges, _MENTION.num_edges) == (2, 2)


def test_layers_add_up_in_both_directions():
    np.testing.assert_array_equal(
        _GRAPH.combined().weights.toarray(), [[0, 3, 3], [3, 0, 1], [3, 1, 0]]
    )
    assert _GRAPH.combined(["shared"]).weights[0, 1] == 2


def test_a_part_keeps_the_edges_among_its_users():
    part = _GRAPH.part(["c", "a"])
    assert part.users == ("a", "c")
    assert part.layer("shared").num_edges == 0
    np.testing.assert_array_equal(
        part.layer("mention").weights.toarray(), [[0, 0], [3, 0]]
    )


def test_canonical_leaves_nothing_on_the_diagonal():
    weights = to_canonical(sparse.csr_array(np.array([[5.0, 0], [1, 0]])))
    assert weights.nnz == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _layer("x", [[0, 1], [0, 0]]), "must be symmetric"),
        (lambda: _layer("x", [[0, -1], [-1, 0]]), "weights above 0"),
        (lambda: SocialGraph(("a",), (_SHARED,)), "one row per user"),
        (lambda: SocialGraph(("a", "b", "c"), (_SHARED, _SHARED)), "must differ"),
        (lambda: _GRAPH.layer("none"), "layer=none"),
    ],
)
def test_invalid_graphs_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()
