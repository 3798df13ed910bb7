import math

import numpy as np
import pytest

from dc_keras.simulation import cascade
from dc_keras.simulation.cascade import draw_cascade, draw_friends, draw_joins


def test_friends_are_mutual_and_likelier_inside_a_community():
    communities = np.arange(200) % 4
    friends = draw_friends(communities, np.random.default_rng(0))
    same = communities[:, np.newaxis] == communities
    assert np.array_equal(friends, friends.T)
    assert not friends.diagonal().any()
    # Expected friends: 8 inside, 2 outside; the mean of 200 users is within 1.
    assert (friends & same).sum(axis=1).mean() == pytest.approx(8, abs=1)
    assert (friends & ~same).sum(axis=1).mean() == pytest.approx(2, abs=1)


def test_one_community_has_only_inner_friends():
    friends = draw_friends(np.zeros(5, dtype=np.int64), np.random.default_rng(0))
    # 8 friends are expected but there are only 4 other users, so all are friends.
    assert friends.sum() == 5 * 4


def test_without_friends_all_joins_are_spontaneous():
    own_days = np.array([3.0, 1.0, 2.0])
    days, moved_by = draw_cascade(
        own_days, np.zeros((3, 3), dtype=bool), np.random.default_rng(0)
    )
    assert days.tolist() == own_days.tolist()
    assert moved_by.tolist() == [-1, -1, -1]


def test_friends_prompt_each_other_as_the_kernel_predicts():
    # 2000 pairs of friends: one joins at day 0, the other practically never by itself.
    num_pairs = 2000
    own_days = np.tile([0.0, 1e6], num_pairs)
    friends = np.kron(np.eye(num_pairs, dtype=bool), [[0, 1], [1, 0]]).astype(bool)
    days, moved_by = draw_cascade(own_days, friends, np.random.default_rng(0))
    moved = days[1::2] < 1e6
    assert np.array_equal(moved_by[1::2][moved], np.arange(0, 2 * num_pairs, 2)[moved])
    # One friend each, so the mass of the kernel is a = 1.5: no join is prompted with
    # probability exp(-1.5), and not within D = 3 days with exp(-1.5 (1 - 1/e)).
    mass, decay = cascade._CASCADE_STRENGTH, cascade._CASCADE_DECAY_DAYS
    assert moved.mean() == pytest.approx(1 - math.exp(-mass), abs=0.04)
    early = (days[1::2] < decay).mean()
    assert early == pytest.approx(1 - math.exp(-mass * (1 - 1 / math.e)), abs=0.04)


def test_joins_are_within_the_world_and_after_their_prompts():
    rng = np.random.default_rng(1)
    joined = rng.random((80, 5)) < 0.4
    joined[:, 4] = False
    friends = draw_friends(np.arange(80) % 4, rng)
    join_days, joined_from = draw_joins(joined, friends, 60, rng)
    assert np.array_equal(np.isnan(join_days), ~joined)
    assert np.nanmin(join_days) >= 0
    assert np.nanmax(join_days) < 60
    users, challenges = np.nonzero(joined_from >= 0)
    assert len(users) > 10
    origins = joined_from[users, challenges]
    assert friends[origins, users].all()
    assert (join_days[origins, challenges] < join_days[users, challenges]).all()
