import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.errors import DataError
from dc_keras.simulation.ground_truth import (
    TASTE_DIM,
    WorldConfig,
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
    truth = draw_truth(
        WorldConfig(num_users=90, num_communities=4), np.random.default_rng(0)
    )
    assert sorted(np.bincount(truth.communities)) == [22, 22, 23, 23]
    within = [truth.user_tastes[truth.communities == k].var(axis=0) for k in range(4)]
    assert np.mean(within) < 0.5 * truth.user_tastes.var(axis=0).mean()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_users", 1, r"`num_users` .* at least 2\. Received: num_users=1"),
        ("num_challenges", 145, r"`num_challenges` .* from 1 to 144"),
        ("seed", -1, "`seed` .* at least 0"),
        ("num_communities", 0, "`num_communities` .* at least 1"),
        ("prevalence", 1.0, "`prevalence`"),
        ("taste_strength", math.nan, "`taste_strength`"),
        ("video_noise", -0.1, "`video_noise`"),
        ("width", 71, "`width` .* must be even"),
        ("fps", 0, "`fps`"),
        ("text_only_share", 1.5, "`text_only_share`"),
        ("start", "19.10.2020", "`start` .* a date such as 2020-10-19"),
        ("start", "1970-01-01", "between 1978 and 2038"),
        ("start", "2037-12-01", "between 1978 and 2038"),
    ],
)
def test_value_outside_its_range_is_refused(field, value, message):
    with pytest.raises(DataError, match=message):
        WorldConfig(**{field: value})
