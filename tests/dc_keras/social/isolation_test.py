import networkx as nx
import numpy as np
import pytest
from drawn_graphs import TWO_GROUPS, layer_of
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.social.isolation import measure_isolation

_GROUPS = np.array([0, 0, 0, 0, 1, 1, 1, 2])


def test_indices_of_a_small_graph():
    found = measure_isolation(TWO_GROUPS, _GROUPS)
    # Six edges of 1 in the clique (12 ends), three in the triangle (6), 0.1 between.
    assert found.mixing.toarray()[:2, :2] == pytest.approx(
        np.array([[12.0, 0.1], [0.1, 6.0]])
    )
    assert found.ei_index[0] == pytest.approx((0.1 - 12) / 12.1)
    assert found.ei_index[1] == pytest.approx((0.1 - 6) / 6.1)
    assert np.isnan(found.ei_index[2])
    assert found.expected == pytest.approx(
        [1 - 2 * 12.1 / 18.2, 1 - 2 * 6.1 / 18.2, 1.0]
    )
    assert found.overall == pytest.approx((0.2 - 18) / 18.2)


def test_assortativity_is_that_of_networkx():
    edges = [(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 0, 1), (0, 2, 1)]
    layer, groups = layer_of(edges, 5), np.array([0, 0, 1, 1, 2])
    graph = nx.from_scipy_sparse_array(layer.weights)
    nx.set_node_attributes(graph, dict(enumerate(groups.tolist())), "group")
    expected = nx.attribute_assortativity_coefficient(graph, "group")
    assert measure_isolation(layer, groups).assortativity == pytest.approx(expected)


def test_ends():
    apart = measure_isolation(
        layer_of([(0, 1, 1), (2, 3, 1)], 4), np.array([0, 0, 1, 1])
    )
    assert (apart.overall, apart.assortativity) == (-1.0, 1.0)
    across = measure_isolation(
        layer_of([(0, 2, 1), (1, 3, 1)], 4), np.array([0, 0, 1, 1])
    )
    assert (across.overall, across.assortativity) == (1.0, -1.0)
    alone = measure_isolation(layer_of([(0, 1, 1)], 2), np.array([0, 0]))
    assert alone.overall == -1.0
    assert np.isnan(alone.assortativity)
    empty = measure_isolation(layer_of([], 2), np.array([0, 1]))
    assert np.isnan([empty.overall, empty.assortativity]).all()


def test_unknown_groups_are_excluded():
    layer = layer_of([(0, 1, 1), (1, 2, 5)], 3)
    assert measure_isolation(layer, np.array([0, 0, -1])).overall == -1.0


def test_direction_counts_for_both_ends():
    edges = [(0, 1, 1.0), (1, 2, 3.0)]
    groups = np.array([0, 0, 1])
    one_way = measure_isolation(layer_of(edges, 3, is_directed=True), groups)
    both = measure_isolation(layer_of(edges, 3), groups)
    assert one_way.ei_index.tolist() == both.ei_index.tolist() == [1 / 5, 1.0]


def test_communities_are_a_graph_of_their_own():
    between = measure_isolation(TWO_GROUPS, _GROUPS).between()
    assert between.num_edges == 1
    assert between.weights[0, 1] == pytest.approx(0.1)


def test_mixing_is_symmetric_despite_rounding():
    weights = np.random.default_rng(0).random((40, 40))
    edges = [(u, v, weights[u, v]) for u in range(40) for v in range(u)]
    between = measure_isolation(layer_of(edges, 40), np.arange(40) % 4).between()
    assert between.num_edges == 6


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0.1, 9))),
    st.lists(st.integers(0, 2), min_size=8, max_size=8),
    st.permutations(range(8)),
)
def test_names_of_users_do_not_matter(edges, groups, order):
    edges = [(u, v, w) for u, v, w in edges if u < v]
    groups = np.array(groups)
    renamed = np.empty(8, int)
    renamed[order] = groups
    one = measure_isolation(layer_of(edges, 8), groups)
    other = measure_isolation(
        layer_of([(order[u], order[v], w) for u, v, w in edges], 8), renamed
    )
    assert one.ei_index == pytest.approx(other.ei_index, nan_ok=True)
    assert one.overall == pytest.approx(other.overall, nan_ok=True)
    finite = one.ei_index[np.isfinite(one.ei_index)]
    assert ((finite >= -1 - 1e-12) & (finite <= 1 + 1e-12)).all()
