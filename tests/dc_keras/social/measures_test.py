import networkx as nx
import numpy as np
import pytest
from drawn_graphs import TWO_GROUPS, layer_of

from dc_keras.social.graph import SocialGraph

pytest.importorskip("igraph", reason="the extra `social` is not installed")
from dc_keras.social.measures import measure_users


def _graph(layer):
    users = tuple(f"u{row:03d}" for row in range(layer.weights.shape[0]))
    return SocialGraph(users, (layer,))


def _measures(layer, **options):
    return measure_users(_graph(layer), layer, **options)


def test_measures_of_a_small_graph():
    found = _measures(TWO_GROUPS)
    assert found["user_id"].to_list() == [f"u{row:03d}" for row in range(8)]
    assert found["degree"].to_list() == [3, 3, 3, 4, 3, 2, 2, 0]
    assert found["strength"].to_list() == pytest.approx([3, 3, 3, 3.1, 2.1, 2, 2, 0])
    assert found["core"].to_list() == [3, 3, 3, 3, 2, 2, 2, 0]
    assert found["bridges"].to_list() == [0, 0, 0, 1, 1, 0, 0, 0]
    # 3 lies between 3 users and 3 others, 4 between 4 and 2.
    assert found["betweenness"].to_list() == [0, 0, 0, 9, 8, 0, 0, 0]
    assert found["betweenness_is_exact"].all()


def test_pagerank_is_that_of_networkx():
    edges = [(0, 1, 2.0), (1, 2, 1.0), (2, 0, 3.0), (0, 3, 1.0), (3, 0, 1.0)]
    for is_directed in (True, False):
        layer = layer_of(edges, 4, is_directed=is_directed)
        kind = nx.DiGraph if is_directed else nx.Graph
        graph = nx.from_scipy_sparse_array(layer.weights, create_using=kind)
        expected = nx.pagerank(graph, tol=1e-12)
        found = _measures(layer)["pagerank"].to_list()
        assert found == pytest.approx([expected[row] for row in range(4)], abs=1e-9)


def test_direction_counts_for_both_ends_of_the_rest():
    found = _measures(layer_of([(0, 1, 2.0), (1, 0, 1.0)], 2, is_directed=True))
    assert found["degree"].to_list() == [1, 1]
    assert found["strength"].to_list() == [3.0, 3.0]


@pytest.fixture(scope="module")
def noise():
    graph = nx.gnm_random_graph(120, 300, seed=1)
    return layer_of([(u, v, 1.0) for u, v in graph.edges], 120)


def test_betweenness_is_that_of_networkx(noise):
    graph = nx.from_scipy_sparse_array(noise.weights)
    expected = nx.betweenness_centrality(graph, normalized=False)
    found = _measures(noise)["betweenness"].to_list()
    assert found == pytest.approx([expected[row] for row in range(120)], abs=1e-9)


def test_sampled_betweenness_is_unbiased_and_marked(noise):
    exact = _measures(noise)["betweenness"].to_numpy()
    runs = [
        _measures(noise, seed=seed, exact_up_to=0, num_pivots=60) for seed in range(40)
    ]
    assert not runs[0]["betweenness_is_exact"].any()
    mean = np.mean([run["betweenness"].to_numpy() for run in runs], axis=0)
    assert mean.sum() == pytest.approx(exact.sum(), rel=0.01)
    assert np.corrcoef(mean, exact)[0, 1] > 0.995
    again = _measures(noise, seed=3, exact_up_to=0, num_pivots=60)
    assert again.equals(runs[3])


def test_as_many_pivots_as_users_are_exact(noise):
    found = _measures(noise, exact_up_to=0, num_pivots=120)
    assert found.equals(_measures(noise))


def test_an_empty_graph_has_no_rows():
    found = _measures(layer_of([], 0))
    assert found.shape == (0, 8)
