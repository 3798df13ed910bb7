import numpy as np
import pytest
from drawn_graphs import TWO_GROUPS, layer_of

pytest.importorskip("igraph", reason="the extra `social` is not installed")
from dc_keras.social import layout
from dc_keras.social.layout import compute_layout

_GROUPS = np.array([0, 0, 0, 0, 1, 1, 1, 2])


def test_communities_stand_apart_within_the_square():
    places = compute_layout(TWO_GROUPS, _GROUPS)
    assert places.shape == (8, 2)
    assert np.abs(places).max() <= 1
    centres = np.array([places[group == _GROUPS].mean(axis=0) for group in (0, 1)])
    for user in range(7):
        distances = np.hypot(*(centres - places[user]).T)
        assert distances.argmin() == _GROUPS[user]


def test_users_without_an_edge_stand_around_the_others():
    places = compute_layout(
        layer_of([(0, 1, 1.0), (1, 2, 1.0)], 5), np.array([0, 0, 0, 1, 2])
    )
    radii = np.hypot(*places.T)
    assert radii[3:] == pytest.approx([1, 1])
    assert np.abs(places[:3]).max() <= 0.9


def test_equal_seeds_give_equal_places_and_others_do_not():
    first = compute_layout(TWO_GROUPS, _GROUPS, seed=1)
    assert np.array_equal(compute_layout(TWO_GROUPS, _GROUPS, seed=1), first)
    assert not np.array_equal(compute_layout(TWO_GROUPS, _GROUPS, seed=2), first)


def test_pieces_of_the_graph_do_not_drift_away():
    ring = [(u, (u + 1) % 40, 1.0) for u in range(40)]
    places = compute_layout(layer_of([*ring, (40, 41, 1.0)], 42), np.zeros(42, int))
    spread = np.ptp(places[:40], axis=0)
    assert spread.min() > 0.5


def test_many_users_are_laid_out_by_drl(monkeypatch):
    monkeypatch.setattr(layout, "_MOST_FORCES", 5)
    first, second = (compute_layout(TWO_GROUPS, _GROUPS, seed=1) for _ in range(2))
    assert np.isfinite(first).all()
    assert np.array_equal(first, second)


@pytest.mark.parametrize("num_users", [0, 1, 2])
def test_few_users(num_users):
    places = compute_layout(layer_of([], num_users), np.arange(num_users))
    assert places.shape == (num_users, 2)
    assert np.isfinite(
        compute_layout(layer_of([(0, 1, 1.0)], 2), np.zeros(2, int))
    ).all()
