import numpy as np
import pytest
from drawn_graphs import layer_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from dc_keras.social.reach import edge_chances, simulate_reach

_RUNS = 2000


def _agrees(share, chance, runs=_RUNS):
    """Returns whether a count of runs is plausible, at a level of 1e-6."""
    low, high = binom.interval(1 - 1e-6, runs, chance)
    return low <= round(share * runs) <= high


def _path(chance):
    return layer_of([(0, 1, chance), (1, 2, chance)], 3).weights


def test_a_path_is_activated_step_by_step():
    reach = simulate_reach(_path(0.6), np.array([0]), num_runs=_RUNS)
    assert reach.chances[0] == 1.0
    assert _agrees(reach.chances[1], 0.6)
    assert _agrees(reach.chances[2], 0.36)
    assert _agrees(reach.mean[1] - 1, 0.6)
    assert reach.mean[-1] == pytest.approx(reach.chances.sum())
    assert reach.mean.shape == (21,)


def test_a_star_is_binomial():
    star = layer_of([(0, leaf, 0.3) for leaf in range(1, 11)], 11).weights
    reach = simulate_reach(star, np.array([0]), num_runs=_RUNS)
    for count in range(6):
        share = (reach.curves[:, -1] == 1 + count).mean()
        assert _agrees(share, binom.pmf(count, 10, 0.3))
    low, high = reach.band[:, -1]
    assert (low, high) == (1 + binom.ppf(0.05, 10, 0.3), 1 + binom.ppf(0.95, 10, 0.3))


def test_a_triangle_has_two_paths():
    edges = layer_of([(0, 1, 0.5), (1, 2, 0.5), (0, 2, 0.5)], 3).weights
    reach = simulate_reach(edges, np.array([0]), num_runs=_RUNS)
    # 0.5 at once, or the other way round.
    assert _agrees(reach.chances[1], 0.5 + 0.5 * 0.25)


def test_direction_leads_from_row_to_column():
    edges = layer_of([(0, 1, 1.0)], 2, is_directed=True).weights
    assert simulate_reach(edges, np.array([1])).chances.tolist() == [0, 1]
    assert simulate_reach(edges, np.array([0])).chances.tolist() == [1, 1]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.floats(0.1, 1))),
    st.lists(st.integers(0, 7)),
)
def test_reach_grows_and_stays_within_components(edges, seeds):
    layer = layer_of([(u, v, w) for u, v, w in edges if u < v], 8)
    seeds = np.array(seeds, int)
    reach = simulate_reach(layer.weights, seeds, num_runs=5, num_steps=8)
    assert (np.diff(reach.curves) >= 0).all()
    assert (reach.curves[:, 0] == len(set(seeds.tolist()))).all()
    assert (reach.chances[seeds] == 1).all()
    untied = np.setdiff1d(np.flatnonzero(layer.weights.sum(axis=1) == 0), seeds)
    assert (reach.chances[untied] == 0).all()


def test_equal_seeds_give_equal_runs_in_any_order():
    edges = layer_of([(u, v, 0.3) for u in range(9) for v in range(u)], 9).weights
    first, second = (
        simulate_reach(edges, np.array(seeds), seed=5) for seeds in ([4, 1], [1, 4, 4])
    )
    assert np.array_equal(first.curves, second.curves)
    other = simulate_reach(edges, np.array([1, 4]), seed=6)
    assert not np.array_equal(first.curves, other.curves)


def test_an_edge_of_twice_the_weight_is_two_edges():
    layer = layer_of([(0, 1, 1.0), (1, 2, 2.0)], 3)
    chances = edge_chances(layer, 0.7)
    once, twice = chances[0, 1], chances[1, 2]
    assert once == pytest.approx(1 - np.exp(-0.7))
    assert twice == pytest.approx(1 - (1 - once) ** 2)


def test_readiness_counts_like_weight():
    layer = layer_of([(0, 1, 1.0), (1, 2, 2.0)], 3)
    chances = edge_chances(layer, 0.7, np.array([1.0, 2.0, 0.0]))
    assert chances[0, 1] == pytest.approx(1 - np.exp(-1.4))
    assert chances[1, 0] == pytest.approx(1 - np.exp(-0.7))
    assert chances[1, 2] == 0.0


def test_totals_include_later_steps():
    path = layer_of([(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0)], 4).weights
    reach = simulate_reach(path, np.array([0]), num_runs=3, num_steps=1)
    assert reach.curves.tolist() == [[1, 2]] * 3
    assert reach.totals.tolist() == [4] * 3


def test_a_seed_who_declines_may_be_activated_later():
    path = _path(1.0)
    never = np.array([1.0, 0.0, 0.0])
    reach = simulate_reach(path, np.array([0, 2]), seed_chances=never)
    assert reach.curves[0, :3].tolist() == [1, 2, 3]
