import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from dc_keras.evaluation.metrics import (
    expected_calibration_error,
    reliability_bins,
)


def test_bins_hold_about_as_many_pairs_each():
    scores = np.arange(10) / 10
    labels = (scores > 0.45).astype(int)
    bins = reliability_bins(labels, scores, num_bins=2)
    assert bins.counts.tolist() == [5, 5]
    assert bins.predicted == pytest.approx([0.2, 0.7])
    assert bins.observed == pytest.approx([0, 1])


def test_bins_are_those_of_sklearn():
    rng = np.random.default_rng(0)
    scores = rng.random(402)  # no quantile falls on a score
    labels = rng.random(402) < scores
    observed, predicted = calibration_curve(
        labels, scores, n_bins=15, strategy="quantile"
    )
    bins = reliability_bins(labels.astype(int), scores)
    assert bins.observed == pytest.approx(observed)
    assert bins.predicted == pytest.approx(predicted)
    assert bins.counts.sum() == 402


def test_equal_scores_are_in_one_bin():
    labels = np.array([1, 0, 0, 1])
    bins = reliability_bins(labels, np.full(4, 0.2))
    assert (bins.counts.tolist(), bins.observed.tolist()) == ([4], [0.5])
    # So the order of pairs does not matter.
    assert expected_calibration_error(labels, np.full(4, 0.2)) == pytest.approx(0.3)


def test_error_is_the_distance_weighed_by_pairs():
    # Three pairs at .5 of which two joined, one at .9 that did not:
    # (3 · 1/6 + 1 · .9) / 4 = .35.
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.5, 0.5, 0.5, 0.9])
    assert expected_calibration_error(labels, scores) == pytest.approx(0.35)


def test_true_probabilities_have_a_small_error():
    rng = np.random.default_rng(1)
    scores = rng.random(20_000)
    labels = (rng.random(20_000) < scores).astype(int)
    assert expected_calibration_error(labels, scores) < 0.02
    assert expected_calibration_error(labels, scores**3) > 0.2
