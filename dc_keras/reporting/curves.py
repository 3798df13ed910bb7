"""The numbers behind the report's plots, from test predictions alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_curve

from dc_keras.evaluation.calibration_error import ReliabilityBins, reliability_bins
from dc_keras.evaluation.predictions import SplitPredictions, answers
from dc_keras.evaluation.rankings import rank_lists

# Where curves are read off: 0, .01, …, 1.
GRID = np.linspace(0, 1, 101)
_LEAST = 1e-9


@dataclass(frozen=True)
class Candidate:
    """A user that a challenge should ask.

    Attributes:
        user_id: pseudonym.
        score: of the model, mean over the folds that judge the pair.
        joined: whether the user did.
    """

    user_id: str
    score: float
    joined: bool


def mean_precision(predictions: SplitPredictions, model: str) -> np.ndarray:
    """Returns precision where recall first reaches each point of `GRID`.

    Returns:
        Mean of the folds, (num_points,); not interpolated inside a fold.
    """
    found = []
    for fold in predictions.folds:
        test = answers(fold, model, "test")
        precision, recall, _ = precision_recall_curve(test.labels, test.scores)
        # From the highest threshold on; scikit-learn adds a point (0, 1) of its own.
        precision, recall = precision[-2::-1], recall[-2::-1]
        # At 0, the first joiner: before anybody is found there is no precision.
        found.append(precision[np.searchsorted(recall, np.maximum(GRID, _LEAST))])
    return np.asarray(np.mean(found, axis=0))


def mean_gain(predictions: SplitPredictions, model: str) -> np.ndarray | None:
    """Returns the share of joiners among the best-scored shares of users.

    Returns:
        At the points of `GRID`, mean over the challenges of all folds, (num_points,);
        None where no challenge has both labels.
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
    """Returns the reliability bins of the test pairs of all folds together."""
    tests = [answers(fold, model, "test") for fold in predictions.folds]
    return reliability_bins(
        np.concatenate([test.labels for test in tests]),
        np.concatenate([test.scores for test in tests]),
    )


def seeding_lists(
    predictions: SplitPredictions, model: str, length: int
) -> dict[str, list[Candidate]]:
    """Returns the users whom a model would ask first, for each challenge.

    Args:
        predictions: of one split; only test pairs are ranked.
        model: whose scores.
        length: most users a challenge.

    Returns:
        By name of the challenge, sorted; equal scores in the order of pseudonyms.
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
    for (challenge, user), found in scores.items():
        candidate = Candidate(user, float(np.mean(found)), labels[challenge, user])
        lists[challenge].append(candidate)
    return {
        name: sorted(lists[name], key=lambda c: (-c.score, c.user_id))[:length]
        for name in sorted(lists)
    }
