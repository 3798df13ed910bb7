from datetime import date
from itertools import permutations

import numpy as np
import pytest
from drawn_graphs import layer_of

from dc_keras.social.adoption import (
    DAY_S,
    Adoption,
    adoption_curve,
    measure_along_edges,
)

# A path; no neighbour of 4 adopts, 5 never adopts.
_PATH = layer_of([(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (4, 5, 1.0)], 6)


def _adoption(rows, times):
    return Adoption(np.array(rows, int), np.array(times, int))


def test_days_without_adopters_are_included():
    curve = adoption_curve(_adoption([3, 1, 2], [5, 2 * DAY_S, DAY_S - 1]))
    assert curve["day"].to_list() == [
        date(1970, 1, 1),
        date(1970, 1, 2),
        date(1970, 1, 3),
    ]
    assert curve["new"].to_list() == [2, 0, 1]
    assert curve["cumulative"].to_list() == [2, 2, 3]
    assert adoption_curve(_adoption([], [])).shape == (0, 3)


def test_order_is_by_time_and_then_by_row():
    assert _adoption([3, 1, 2], [5, 5, 4]).in_order().tolist() == [2, 1, 3]


def test_the_share_of_followers_in_a_small_graph():
    along = measure_along_edges(_PATH, _adoption([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]))
    assert along.share == pytest.approx(3 / 5)
    assert (along.num_adopters, along.num_shuffles) == (5, 999)


def test_equal_times_are_not_before():
    along = measure_along_edges(_PATH, _adoption([0, 1, 2], [7, 7, 7]))
    assert (along.share, along.expected, along.p_value) == (0.0, 0.0, 1.0)


def test_the_expected_share_is_that_of_all_orders():
    # Of the 24 orders of four adopters, worked through one by one.
    shares = [
        sum(
            any(abs(u - v) == 1 and order[u] < order[v] for u in range(4))
            for v in range(4)
        )
        / 4
        for order in permutations(range(4))
    ]
    found = measure_along_edges(
        _PATH, _adoption([0, 1, 2, 3], [0, 1, 2, 3]), num_shuffles=4000
    )
    assert found.share == 0.75
    assert found.expected == pytest.approx(np.mean(shares), abs=0.01)
    assert found.p_value == pytest.approx(np.mean(np.array(shares) >= 0.75), abs=0.03)


def test_a_wave_is_significant_and_chance_is_not():
    ring = layer_of([(u, (u + 1) % 60, 1.0) for u in range(60)], 60)
    wave = measure_along_edges(ring, _adoption(range(60), range(60)))
    assert wave.p_value == 1 / 1000
    mixed = np.random.default_rng(0).permutation(60)
    assert measure_along_edges(ring, _adoption(range(60), mixed)).p_value > 0.05


def test_the_order_of_rows_and_the_direction_do_not_matter():
    one = measure_along_edges(_PATH, _adoption([0, 1, 3], [2, 1, 5]), seed=4)
    other = measure_along_edges(_PATH, _adoption([3, 0, 1], [5, 2, 1]), seed=4)
    assert one == other
    directed = layer_of([(1, 0, 1.0), (2, 1, 1.0)], 6, is_directed=True)
    assert measure_along_edges(directed, _adoption([0, 1], [0, 1])).share == 0.5
