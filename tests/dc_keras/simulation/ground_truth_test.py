import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.errors import DataError
from dc_keras.simulation import ground_truth
from dc_keras.simulation.ground_truth import (
    TASTE_DIM,
    WorldConfig,
    draw_cascade,
    draw_friends,
    draw_joins,
    draw_truth,
    participation_probabilities,
)


@given(
    log_odds=st.lists(st.floats(-30, 30), min_size=1, max_size=20),
    prevalence=st.floats(0.01, 0.99),
)
def test_intercept_gives_the_prevalence_and_keeps_the_order(log_odds, prevalence):
    given_odds = np.array(log_odds)
    probabilities = participation_probabilities(given_odds, prevalence)
    assert probabilities.mean() == pytest.approx(prevalence, abs=1e-9)
    assert np.all(np.diff(probabilities[np.argsort(given_odds)]) >= 0)


def test_two_opposite_log_odds_have_known_probabilities():
    # With a prevalence of one half the intercept of (-1, 1) is 0 by symmetry.
    probabilities = participation_probabilities(np.array([-1.0, 1.0]), 0.5)
    assert probabilities == pytest.approx([1 / (1 + math.e), math.e / (1 + math.e)])


def test_probabilities_are_the_sigmoid_of_the_stated_model():
    config = WorldConfig(num_users=40, popularity_std=0, propensity_std=0)
    truth = draw_truth(config, np.random.default_rng(3))
    log_odds = np.log(truth.probabilities / (1 - truth.probabilities))
    match = truth.user_tastes @ truth.challenge_tastes.T / math.sqrt(TASTE_DIM)
    # The remainder is the same intercept for all pairs.
    rest = log_odds - config.taste_strength * match
    assert rest == pytest.approx(np.full(rest.shape, rest[0, 0]), abs=1e-9)
    assert truth.probabilities.mean() == pytest.approx(config.prevalence)


def test_join_frequencies_match_the_probabilities():
    config = WorldConfig(num_users=1500, num_challenges=20)
    truth = draw_truth(config, np.random.default_rng(0))
    for low, high in [(0.0, 0.2), (0.2, 0.5), (0.5, 1.0)]:
        chosen = (truth.probabilities >= low) & (truth.probabilities < high)
        p = truth.probabilities[chosen]
        # Sum of independent Bernoulli draws: variance sum p (1 - p); four deviations.
        spread = 4 * math.sqrt((p * (1 - p)).sum())
        assert abs(truth.joined[chosen].sum() - p.sum()) < spread


def test_communities_have_nearly_equal_sizes_and_similar_tastes():
    truth = draw_truth(WorldConfig(num_users=90), np.random.default_rng(0))
    assert sorted(np.bincount(truth.communities)) == [22, 22, 23, 23]
    within = [truth.user_tastes[truth.communities == k].var(axis=0) for k in range(4)]
    assert np.mean(within) < 0.5 * truth.user_tastes.var(axis=0).mean()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_users", 1, r"`num_users` .* at least 2\. Received: num_users=1"),
        ("num_challenges", 145, r"`num_challenges` .* from 1 to 144"),
        ("seed", -1, "`seed` .* at least 0"),
        ("prevalence", 1.0, "`prevalence`"),
        ("taste_strength", math.nan, "`taste_strength`"),
        ("video_noise", -0.1, "`video_noise`"),
        ("text_only_share", 1.5, "`text_only_share`"),
    ],
)
def test_value_outside_its_range_is_refused(field, value, message):
    with pytest.raises(DataError, match=message):
        WorldConfig(**{field: value})


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
    mass, decay = ground_truth._CASCADE_STRENGTH, ground_truth._CASCADE_DECAY_DAYS
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
