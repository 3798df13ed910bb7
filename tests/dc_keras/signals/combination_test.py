import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from dc_keras.signals.combination import RULE_WEIGHT, C, fit_combination
from dc_keras.signals.table import SignalTable


def _table(**columns):
    """Signals by name, `GROUP__NAME`."""
    names = tuple(name.replace("__", "/") for name in columns)
    return SignalTable(names, np.stack([*columns.values()], axis=1).astype(np.float32))


def _plain(count, seed=0):
    """Signals that the rule does not know, and labels that the first one tells."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(3.0, 2.0, (2, count))
    label = (first + rng.normal(size=count) > 3).astype(np.int32)
    return _table(text__a=first, text__b=second), label


def test_without_a_rule_it_is_a_logistic_regression():
    table, label = _plain(300)
    train = np.arange(200)
    values = table.values[train].astype(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    scaled = ((table.values - mean) / std).clip(-5, 5)
    stack = LogisticRegression(C=C, tol=1e-8, max_iter=1000)
    stack.fit(scaled[train], label[train])
    np.testing.assert_allclose(
        fit_combination(table, label, train).predict(table),
        stack.predict_proba(scaled)[:, 1],
        atol=1e-4,
    )


def test_of_few_joins_the_rule_decides():
    # Two joins against the rule do not turn it over.
    rates = logit(np.array([0.1, 0.2, 0.3, 0.4]))
    table = _table(rates__popularity=rates, rates__propensity=rates)
    label = np.array([1, 1, 0, 0])
    scores = fit_combination(table, label, np.arange(4)).predict(table)
    assert (np.diff(scores) > 0).all()
    # The rates weigh as the rule has them, but for what little was learned.
    moved = np.diff(logit(scores)) - 2 * RULE_WEIGHT * np.diff(rates)
    assert np.abs(moved).max() < 0.1


def test_many_joins_turn_the_rule_over():
    rng = np.random.default_rng(1)
    rates = rng.normal(size=4000)
    label = (rng.random(4000) < expit(-2 * rates)).astype(np.int32)
    table = _table(rates__popularity=rates, text__noise=rng.normal(size=4000))
    scores = fit_combination(table, label, np.arange(4000)).predict(table)
    assert np.corrcoef(scores, rates)[0, 1] < -0.9


def test_what_is_unknown_counts_as_the_mean():
    table, label = _plain(200)
    fitted = fit_combination(table, label, np.arange(200))
    asked = np.array([[np.nan, 3.0], [fitted.mean[0], 3.0]], np.float32)
    one, other = fitted.predict(SignalTable(table.names, asked))
    assert one == pytest.approx(other, rel=1e-5)


def test_a_column_without_a_known_or_a_second_value_says_nothing():
    table, label = _plain(200)
    more = table.with_column("past/unknown", np.full(200, np.nan))
    more = more.with_column("past/same", np.full(200, 7.0))
    train = np.arange(200)
    np.testing.assert_allclose(
        fit_combination(more, label, train).predict(more),
        fit_combination(table, label, train).predict(table),
        atol=1e-4,
    )


def test_labels_outside_of_training_are_not_read():
    table, label = _plain(300)
    train = np.arange(200)
    flipped = np.where(np.arange(300) < 200, label, 1 - label)
    before, after = (fit_combination(table, y, train) for y in (label, flipped))
    np.testing.assert_array_equal(before.weights, after.weights)


def test_cosines_of_frames_are_part_of_the_rule():
    cosine = np.array([-1.0, 0.0, 1.0, 0.5])
    label = np.array([0, 1, 0, 1])
    table = _table(frames__VGG16_cosine=cosine)
    scores = fit_combination(table, label, np.arange(4)).predict(table)
    assert (np.argsort(scores) == np.argsort(cosine)).all()
