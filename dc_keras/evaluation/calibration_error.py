"""Whether a score of .3 means three in ten."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15


@dataclass(frozen=True)
class ReliabilityBins:
    """Pairs in bins of about equal size, by score.

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
    """Puts pairs into bins between the quantiles of their scores.

    Equal scores are never parted, whatever the order of the pairs: a model of few
    different scores has fewer bins, a constant one a single bin.

    Args:
        labels: 0/1 (num_pairs,).
        scores: probabilities (num_pairs,).
        num_bins: most bins.
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
    """Returns the mean distance of score and share that joined, over 15 bins.

    Each of the `reliability_bins` counts by its number of pairs. 0 is perfect.
    """
    bins = reliability_bins(labels, scores)
    distance = np.abs(bins.predicted - bins.observed)
    return float(np.average(distance, weights=bins.counts))
