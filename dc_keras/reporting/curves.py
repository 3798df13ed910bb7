"""Computes the curves of the report's plots from test predictions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from dc_keras.evaluation.calibration_error import ReliabilityBins, reliability_bins
from dc_keras.evaluation.predictions import SplitPredictions, answers
from dc_keras.evaluation.rankings import rank_lists

# The points of curves: 0, .01, …, 1.
GRID = np.linspace(0, 1, 101)
_LEAST = 1e-9


@dataclass(frozen=True)
class Candidate:
    """A user in the ranking of a challenge.

    Attributes:
        user_id: pseudonym of the user.
        score: score of the model, mean over the folds that test the pair.
        joined: whether the user joined.
    """

    user_id: str
    score: float
    joined: bool


def mean_precision(predictions: SplitPredictions, model: str) -> np.ndarray:
    """Returns the precision at the first point that reaches each recall of `GRID`.

    Returns:
        Mean over the folds, without interpolation inside a fold, (num_points,).
    """
    precisions = []
    for fold in predictions.folds:
        test = answers(fold, model, "test")
        precision, recall, _ = precision_recall_curve(test.labels, test.scores)
        # By descending threshold, without the point (0, 1) that scikit-learn adds.
        precision, recall = precision[-2::-1], recall[-2::-1]
        # At recall 0, the point of the first joiner: before it, precision is undefined.
        precisions.append(precision[np.searchsorted(recall, np.maximum(GRID, _LEAST))])
    return np.asarray(np.mean(precisions, axis=0))


def mean_gain(predictions: SplitPredictions, model: str) -> np.ndarray | None:
    """Returns the share of joiners among the best-scored shares of users.

    Returns:
        The share at the points of `GRID`, mean over the challenges of all folds,
        (num_points,); None if no challenge has both labels.
    """
    total, num_lists = np.zeros(len(GRID)), 0
    for fold in predictions.folds:
        test = answers(fold, model, "test")
        lists = rank_lists(test.labels, test.scores, test.challenges)
        if len(lists):
            total += lists.gain(GRID) * len(lists)
            num_lists += len(lists)
    return total / num_lists if num_lists else None


def pooled_reliability(predictions: SplitPredictions, model: str) -> ReliabilityBins:
    """Returns the reliability bins of the test pairs of all folds."""
    tests = [answers(fold, model, "test") for fold in predictions.folds]
    return reliability_bins(
        np.concatenate([test.labels for test in tests]),
        np.concatenate([test.scores for test in tests]),
    )


def seeding_lists(
    predictions: SplitPredictions, model: str, length: int
) -> dict[str, list[Candidate]]:
    """Returns the best-scored users of each challenge.

    Args:
        predictions: predictions of one split; only test pairs are ranked.
        model: name of the model.
        length: maximum number of users per challenge.

    Returns:
        Candidates by name of the challenge, sorted by score, then by pseudonym.
    """
    scores, labels = defaultdict(list), {}
    for fold in predictions.folds:
        rows = fold.filter(model=model, part="test")
        for user, challenge, label, score in rows.select(
            "user_id", "challenge", "label", "score"
        ).iter_rows():
            scores[challenge, user].append(score)
            labels[challenge, user] = label == 1
    lists = defaultdict(list)
    for (challenge, user), values in scores.items():
        candidate = Candidate(user, float(np.mean(values)), labels[challenge, user])
        lists[challenge].append(candidate)
    return {
        name: sorted(lists[name], key=lambda c: (-c.score, c.user_id))[:length]
        for name in sorted(lists)
    }
