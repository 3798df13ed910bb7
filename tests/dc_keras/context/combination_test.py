import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit

from dc_keras.context import combination
from dc_keras.context.combination import fit_combination
from dc_keras.context.trees import with_unknown

_NAMES = (
    "rates/popularity",
    "rates/propensity",
    "time/posts_in_window",
    "text/topic_cosine",
    "text/caption_cosine",
    "frames/cosine",
    "engagement/user_duration",
)


def _pairs(count, seed=0, unknown=0.2):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, len(_NAMES))).astype(np.float32)
    features[:, 2] = rng.random(count)
    features[:, 5] = 0.0
    label = (rng.random(count) < expit(2 * features[:, 3] - features[:, 6])).astype(int)
    label[:2] = 0, 1
    features[rng.random(features.shape) < unknown] = np.nan
    return features, label, rng.choice([0.5, 1.0], count)


def _standardized(features, weight, rows):
    """Standardizes features by weighted moments, clipped at 5; 0 where unknown."""
    known = ~np.isnan(features)
    share = known * weight[:, None]
    share = share / share.sum(axis=0)
    mean = np.nansum(features * share, axis=0)
    deviation = np.sqrt(np.nansum(np.square(features - mean) * share, axis=0))
    filled = np.where(np.isnan(rows), mean, rows)
    scale = np.where(deviation > 0, 1 / np.maximum(deviation, 1e-12), 0)
    return filled, np.clip((filled - mean) * scale, -5, 5)


def _rule(filled, standardized):
    """Returns the rule: propensity × popularity, posts in its days, varying cosines."""
    return (
        0.5 * (filled[:, 0] + filled[:, 1])
        + 0.5 * np.log(0.5 + np.maximum(filled[:, 2], 0))
        + 0.15 * (standardized[:, 3] + standardized[:, 4])
    )


def test_log_odds_are_the_rule_plus_the_fitted_weights():
    features, label, weight = _pairs(400)
    model = fit_combination(_NAMES, features, label, weight)
    rows, _, _ = _pairs(50, seed=1)
    filled, standardized = _standardized(features, weight, rows)
    rule = _rule(filled, standardized)
    np.testing.assert_allclose(
        model.rule(with_unknown(rows)), rule, rtol=1e-4, atol=1e-4
    )
    added = standardized @ model.weights["weights"] + model.weights["intercept"]
    np.testing.assert_allclose(
        model(with_unknown(rows)), rule + added, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("count", [20, 400, 3000])
def test_gradient_is_zero_at_the_solution(count):
    features, label, weight = _pairs(count)
    model = fit_combination(_NAMES, features, label, weight)
    error = weight * (expit(model(with_unknown(features)).numpy()) - label)
    _, standardized = _standardized(features, weight, features)
    slope = model.weights["weights"] + combination.C * (standardized.T @ error)
    np.testing.assert_allclose(slope, 0.0, atol=1e-3)
    # The intercept is not regularized, so the mean probability is the rate.
    assert combination.C * error.sum() == pytest.approx(0.0, abs=1e-3)


def test_few_pairs_keep_the_order_of_the_rule():
    features, label, weight = _pairs(20)
    model = fit_combination(_NAMES, features, label, weight)
    assert np.abs(model.weights["weights"]).max() < 0.15
    rows = with_unknown(_pairs(300, seed=1)[0])
    found = np.corrcoef(model(rows), model.rule(rows))[0, 1]
    assert found > 0.95


def test_many_pairs_override_the_rule():
    features, label, weight = _pairs(20_000, unknown=0.0)
    model = fit_combination(_NAMES, features, label, weight)
    found = dict(zip(_NAMES, model.weights["weights"], strict=True))
    # The labels follow 2·topics − duration, and nothing else.
    assert found["text/topic_cosine"] + 0.15 == pytest.approx(2, abs=0.3)
    assert found["engagement/user_duration"] == pytest.approx(-1, abs=0.1)
    assert found["rates/popularity"] == pytest.approx(-0.5, abs=0.1)


def test_unknown_values_count_as_the_mean():
    features, label, weight = _pairs(200)
    model = fit_combination(_NAMES, features, label, weight)
    unknown = np.full((1, len(_NAMES)), np.nan)
    np.testing.assert_array_equal(
        model(with_unknown(unknown)), model(tf.constant(model.weights["mean"][None]))
    )
    np.testing.assert_array_equal(model.standardize(with_unknown(unknown)), 0.0)


@pytest.mark.parametrize("value", [np.nan, 0.1])
def test_constant_feature_has_no_effect(value):
    features, label, weight = _pairs(200)
    features[:, 4] = value
    model = fit_combination(_NAMES, features, label, weight)
    assert model.weights["scale"][4] == model.weights["weights"][4] == 0
    other = features.copy()
    other[:, 4] = 3.0
    # The weight of the other cosines does not change.
    np.testing.assert_array_equal(
        model(with_unknown(other)), model(with_unknown(features))
    )


def test_rule_works_without_its_features():
    features, label, weight = _pairs(200)
    model = fit_combination(_NAMES[6:], features[:, 6:], label, weight)
    rows = with_unknown(features[:, 6:])
    np.testing.assert_array_equal(model.rule(rows), np.zeros(200))
    assert model.weights["weights"][0] < 0


def test_prior_activity_replaces_rates():
    features, label, weight = _pairs(200, unknown=0.0)
    names = (*combination._RATES, *combination._PAST_RATES)
    features = features[:, : len(names)] + 1
    for is_known in (True, False):
        if not is_known:
            features[:, 3:] = np.nan
        model = fit_combination(names, features, label, weight)
        rule = features[:, 2:] if is_known else features[:, :2]
        np.testing.assert_allclose(
            model.rule(with_unknown(features)), 0.5 * rule.sum(axis=1), rtol=1e-4
        )


def test_outliers_are_clipped():
    features, label, weight = _pairs(200)
    model = fit_combination(_NAMES, features, label, weight)
    far = np.full((2, len(_NAMES)), 0.0, np.float32)
    far[:, 6] = 1e3, 1e6
    answers = model(with_unknown(far)).numpy()
    assert answers[0] == answers[1]


def test_a_weight_of_two_counts_as_two_pairs():
    features, label, _ = _pairs(100)
    doubled = fit_combination(_NAMES, features, label, np.full(100, 2.0))
    twice = fit_combination(
        _NAMES, np.tile(features, (2, 1)), np.tile(label, 2), np.ones(200)
    )
    for name, value in doubled.weights.items():
        np.testing.assert_allclose(value, twice.weights[name], rtol=1e-3, atol=1e-4)
