"""Metrics of pairs, and calibration.

Most metrics are those of scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
)

NUM_BINS = 15


def pair_metrics(
    labels: np.ndarray, scores: np.ndarray, threshold: float
) -> dict[str, float]:
    """Returns the metrics of one set of pairs.

    Args:
        labels: 0/1 (num_pairs,), both present.
        scores: probabilities (num_pairs,), in [0, 1].
        threshold: smallest score that is predicted as "yes".

    Returns:
        Metrics of the scores: `average_precision` (area under the precision–recall
        curve, without interpolation), `roc_auc`, `log_loss` (natural logarithm; scores
        of 0 and 1 are clipped by machine precision), `brier`, `calibration_error`
        (`expected_calibration_error`) and `prevalence`. The `decision_metrics` at the
        threshold, and at .5 under the names `…_at_half`. The `threshold`.
    """
    at_half = decision_metrics(labels, (scores >= 0.5).astype(int))
    return {
        "average_precision": float(average_precision_score(labels, scores)),
        "roc_auc": float(roc_auc_score(labels, scores)),
        "log_loss": float(log_loss(labels, scores)),
        "brier": float(brier_score_loss(labels, scores)),
        "calibration_error": expected_calibration_error(labels, scores),
        "prevalence": float(np.mean(labels)),
        **decision_metrics(labels, (scores >= threshold).astype(int)),
        **{f"{name}_at_half": value for name, value in at_half.items()},
        "threshold": float(threshold),
    }


def decision_metrics(labels: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Returns the metrics of binary decisions.

    Args:
        labels: 0/1 (num_pairs,), both present.
        predicted: 0/1 (num_pairs,), decisions of a model.

    Returns:
        `macro_precision`, `macro_recall`, `macro_f1` (unweighted means over {no, yes};
        F1 is the mean of the F1 of both classes, not the F1 of the means);
        `precision`, `recall`, `f1` of "yes"; `micro_precision`, `micro_recall`,
        `micro_f1` (over the decisions of both classes, where all three are the
        accuracy); `mcc`; `balanced_accuracy` (mean of the recall of both classes).
    """
    # scikit-learn is much faster on the four weighted cells than on all pairs.
    counts = np.bincount(2 * labels + predicted, minlength=4)
    truth, decision = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    p, r, f, _ = precision_recall_fscore_support(
        truth, decision, labels=[0, 1], zero_division=0.0, sample_weight=counts
    )
    accuracy = float(accuracy_score(truth, decision, sample_weight=counts))
    balanced = balanced_accuracy_score(truth, decision, sample_weight=counts)
    return {
        "macro_precision": float(p.mean()),
        "macro_recall": float(r.mean()),
        "macro_f1": float(f.mean()),
        "precision": float(p[1]),
        "recall": float(r[1]),
        "f1": float(f[1]),
        **dict.fromkeys(("micro_precision", "micro_recall", "micro_f1"), accuracy),
        "mcc": float(matthews_corrcoef(truth, decision, sample_weight=counts)),
        "balanced_accuracy": float(balanced),
    }


def group_metrics(
    labels: np.ndarray, predicted: np.ndarray, groups: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns precision, recall and F1 of "yes" in each group.

    Args:
        labels: 0/1 (num_pairs,).
        predicted: 0/1 (num_pairs,), decisions of a model.
        groups: (num_pairs,), challenge or user of each pair.

    Returns:
        `precision`, `recall` and `f1`, each (num_groups,); their unweighted means are
        the macro values over groups. Groups whose labels are all the same are left
        out. Precision is 0 in a group without a predicted "yes".
    """
    _, number = np.unique(groups, return_inverse=True)
    size = np.bincount(number)
    joined, called, both = (
        np.bincount(number, values, len(size))
        for values in (labels, predicted, labels * predicted)
    )
    is_mixed = (joined > 0) & (joined < size)
    joined, called, both = joined[is_mixed], called[is_mixed], both[is_mixed]
    return {
        "precision": both / np.maximum(called, 1),
        "recall": both / joined,
        "f1": 2 * both / (called + joined),
    }


def macro_scores(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[int]
) -> dict[str, float]:
    """Returns macro precision, recall and F1: unweighted means over `classes`.

    Precision is 0 for a class that is never predicted, and recall is 0 for a class that
    never occurs.
    """
    p, r, f, _ = precision_recall_fscore_support(
        labels, predicted, labels=list(classes), average="macro", zero_division=0.0
    )
    return {"macro_precision": float(p), "macro_recall": float(r), "macro_f1": float(f)}


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the threshold with the best macro F1 over {no, yes}.

    All scores are candidates; of equally good ones, the lowest is returned. Returns .5
    if all labels are the same.

    Args:
        labels: 0/1 (num_pairs,), of validation pairs.
        scores: float (num_pairs,).
    """
    if len(np.unique(labels)) < 2:
        return 0.5
    candidates, place = np.unique(scores, return_inverse=True)
    counts = [
        np.bincount(place[labels == label], minlength=len(candidates))
        for label in (0, 1)
    ]
    # For each candidate, the pairs of each label whose score reaches it.
    fp, tp = (np.cumsum(count[::-1])[::-1] for count in counts)
    fn, tn = tp[0] - tp, fp[0] - fp
    f1_yes = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    f1_no = 2 * tn / np.maximum(2 * tn + fp + fn, 1)
    return float(candidates[np.argmax(f1_yes + f1_no)])


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
