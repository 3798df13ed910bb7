"""Reliability bins and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15


@dataclass(frozen=True)
class ReliabilityBins:
    """Pairs grouped by score into bins of about equal size.

    Attributes:
        predicted: mean score, (num_bins,), ascending.
        observed: share that joined, (num_bins,).
        counts: number of pairs, (num_bins,), each above zero.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray


def reliability_bins(
    labels: np.ndarray, scores: np.ndarray, num_bins: int = NUM_BINS
) -> ReliabilityBins:
    """Groups pairs into bins between the quantiles of their scores.

    Pairs with equal scores are always in the same bin, so there may be fewer bins than
    `num_bins`; a constant score gives one bin.

    Args:
        labels: 0/1 (num_pairs,).
        scores: probabilities (num_pairs,).
        num_bins: maximum number of bins.
    """
    edges = np.quantile(scores, np.linspace(0, 1, num_bins + 1)[1:-1])
    bins = np.searchsorted(edges, scores)
    counts = np.bincount(bins, minlength=num_bins)
    is_used = counts > 0
    counts = counts[is_used]
    predicted, observed = (
        np.bincount(bins, values, num_bins)[is_used] / counts
        for values in (scores, labels)
    )
    return ReliabilityBins(predicted, observed, counts)


def expected_calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the expected calibration error over 15 bins of about equal size.

    It is the mean of |mean score − share that joined| over the `reliability_bins`,
    weighted by their number of pairs. 0 is perfect.

    Args:
        labels: 0/1 (num_pairs,).
        scores: probabilities (num_pairs,).
    """
    bins = reliability_bins(labels, scores)
    distance = np.abs(bins.predicted - bins.observed)
    return float(np.average(distance, weights=bins.counts))
