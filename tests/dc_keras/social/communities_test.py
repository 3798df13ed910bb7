import networkx as nx
import numpy as np
import pytest
from drawn_graphs import CLIQUE, TRIANGLE, TWO_GROUPS, layer_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from dc_keras.errors import DataError
from dc_keras.simulation.world import WorldConfig, simulate_world
from dc_keras.social.building import GraphPlan, build_graph
from dc_keras.social.graph import Layer, to_canonical

pytest.importorskip("igraph", reason="the extra `social` is not installed")
from dc_keras.social.communities import find_communities, measure_stability


def test_planted_communities_are_found_and_numbered_by_size():
    found = find_communities(TWO_GROUPS)
    assert found.membership.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]
    assert found.sizes.tolist() == [4, 3, 1]
    assert (len(found), found.num_alone) == (3, 1)


def test_planted_communities_are_found_in_what_posts_say(tmp_path):
    from benchmarks.communities import corpus_of

    # Tastes that show in words: docs/social.md says what the default world allows.
    config = WorldConfig(
        num_users=300,
        videos_per_user=30,
        taste_noise=0.05,
        video_noise=0.2,
        text_only_share=1.0,
    )
    world = simulate_world(config)
    corpus, rows = corpus_of(world, tmp_path)
    graph = build_graph(corpus, GraphPlan())
    assert [layer.name for layer in graph.layers] == [
        *("co-hashtag", "co-sound", "mention")
    ]
    found = find_communities(graph.combined())
    planted = world.truth.communities[rows]
    assert adjusted_rand_score(planted, found.membership) >= 0.9


def test_modularity_is_that_of_networkx():
    found = find_communities(TWO_GROUPS)
    graph = nx.from_scipy_sparse_array(TWO_GROUPS.weights)
    expected = nx.community.modularity(graph, [{0, 1, 2, 3}, {4, 5, 6}, {7}])
    assert found.modularity == pytest.approx(expected, abs=1e-12)


def test_equal_sizes_are_numbered_by_their_first_user():
    pairs = layer_of([(0, 3, 1.0), (1, 2, 1.0)], 4)
    found = find_communities(pairs)
    assert found.membership.tolist() == [0, 1, 1, 0]


def test_a_high_resolution_gives_more_communities():
    assert len(find_communities(TWO_GROUPS, resolution=8.0)) > 3
    assert len(find_communities(TWO_GROUPS, resolution=0.01)) == 2


def test_direction_counts_for_both_ends():
    one_way = layer_of([*CLIQUE, *TRIANGLE, (3, 4, 0.1)], 8, is_directed=True)
    found = find_communities(one_way)
    assert found.membership.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]


def test_without_edges_everyone_is_a_community():
    found = find_communities(layer_of([], 3))
    assert found.membership.tolist() == [0, 1, 2]
    assert found.modularity == 0.0
    assert measure_stability(layer_of([], 3), num_runs=2).ari == 1.0


def _noise(num_users=60, seed=0):
    edges = np.random.default_rng(seed).random((num_users, num_users))
    weights = np.triu(np.where(edges < 0.1, edges, 0), 1)
    return Layer("noise", to_canonical(sparse.csr_array(weights + weights.T)))


def test_equal_seeds_give_equal_communities_and_others_do_not():
    noise = _noise()
    first, second = (find_communities(noise, seed=3) for _ in range(2))
    assert first.membership.tolist() == second.membership.tolist()
    others = {tuple(find_communities(noise, seed=s).membership) for s in range(8)}
    assert len(others) > 1


def test_random_graphs_are_unstable_and_planted_communities_are_not():
    clear = measure_stability(TWO_GROUPS, num_runs=4)
    assert (clear.ari, clear.nmi) == (1.0, pytest.approx(1.0))
    unclear = measure_stability(_noise(), num_runs=4)
    assert unclear.ari < 0.9
    assert unclear.num_runs == 4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.floats(0.1, 9))))
def test_every_user_is_in_one_community_of_falling_sizes(edges):
    layer = layer_of([(u, v, w) for u, v, w in edges if u != v], 12)
    found = find_communities(layer)
    assert sum(found.sizes) == 12
    assert (np.diff(found.sizes) <= 0).all()
    assert -0.5 <= found.modularity <= 1
    # Communities do not cross components.
    _, components = sparse.csgraph.connected_components(layer.weights)
    for community in range(len(found)):
        assert len(set(components[found.membership == community])) == 1


@pytest.mark.parametrize("resolution", [0.0, -1.0, float("nan")])
def test_invalid_resolutions_are_refused(resolution):
    with pytest.raises(
        DataError, match=r"resolution must be from 0.0001 to 10000. Received"
    ):
        find_communities(TWO_GROUPS, resolution=resolution)
