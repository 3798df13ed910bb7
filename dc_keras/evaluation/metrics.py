"""What the numbers mean: each metric under its own name, with an interval.

scikit-learn computes what it has; ours are the bootstrap over users and the identities
that any honest row of precision, recall and F1 obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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

from dc_keras.evaluation.calibration_error import expected_calibration_error

# Published numbers are rounded to three decimals.
_ROUNDING = 0.0005
# Bounds the matrices of the bootstrap: (num_users, steps) and (draws, steps).
_STEPS_AT_ONCE = 1024
_TINY = 1e-12


@dataclass(frozen=True)
class Scores:
    """The judged pairs of one fold.

    Attributes:
        labels: 0/1 (num_pairs,).
        scores: float (num_pairs,), higher means more likely to join.
        users: (num_pairs,), the user of each pair; the unit of the bootstrap.
    """

    labels: np.ndarray
    scores: np.ndarray
    users: np.ndarray


def pair_metrics(
    labels: np.ndarray, scores: np.ndarray, threshold: float
) -> dict[str, float]:
    """Returns the metrics of one set of pairs.

    Args:
        labels: 0/1 (num_pairs,), both present.
        scores: probabilities (num_pairs,), in [0, 1].
        threshold: a pair is called "yes" where its score reaches it.

    Returns:
        Of the scores: `average_precision` (area under precision–recall, without
        interpolation), `roc_auc`, `log_loss` (natural; a score of 0 or 1 is moved by
        the machine's precision), `brier`, `calibration_error`
        (`calibration.expected_calibration_error`), `prevalence`. At the threshold,
        and at .5 under `…_at_half`, those of `decision_metrics`. And `threshold`.
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


def decision_metrics(labels: np.ndarray, called: np.ndarray) -> dict[str, float]:
    """Returns the metrics of yes and no.

    Args:
        labels: 0/1 (num_pairs,), both present.
        called: 0/1 (num_pairs,), what a model says.

    Returns:
        `macro_precision`, `macro_recall`, `macro_f1` (unweighted means over {no, yes};
        F1 is the mean of the two F1s, not the F1 of the means), `precision`, `recall`,
        `f1` of "yes", `micro_precision`, `micro_recall`, `micro_f1` (the decisions of
        both classes together, where all three are the accuracy), `mcc`,
        `balanced_accuracy` (mean of the recalls of no and yes).
    """
    # Four rows with weights are to scikit-learn what all pairs are, and much faster.
    counts = np.bincount(2 * labels + called, minlength=4)
    truth, said = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    p, r, f, _ = precision_recall_fscore_support(
        truth, said, labels=[0, 1], zero_division=0.0, sample_weight=counts
    )
    accuracy = float(accuracy_score(truth, said, sample_weight=counts))
    balanced = balanced_accuracy_score(truth, said, sample_weight=counts)
    return {
        "macro_precision": float(p.mean()),
        "macro_recall": float(r.mean()),
        "macro_f1": float(f.mean()),
        "precision": float(p[1]),
        "recall": float(r[1]),
        "f1": float(f[1]),
        **dict.fromkeys(("micro_precision", "micro_recall", "micro_f1"), accuracy),
        "mcc": float(matthews_corrcoef(truth, said, sample_weight=counts)),
        "balanced_accuracy": float(balanced),
    }


def group_metrics(
    labels: np.ndarray, called: np.ndarray, groups: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns precision, recall and F1 of "yes" in each group.

    Args:
        labels: 0/1 (num_pairs,).
        called: 0/1 (num_pairs,), what a model says.
        groups: (num_pairs,), the challenge or the user of each pair.

    Returns:
        `precision`, `recall`, `f1`, each (num_groups,): their unweighted means are the
        macro values over groups. A group whose labels are all the same says nothing and
        is left out. Where a model never says "yes", precision is 0.
    """
    _, number = np.unique(groups, return_inverse=True)
    size = np.bincount(number)
    joined, said, both = (
        np.bincount(number, values, len(size))
        for values in (labels, called, labels * called)
    )
    is_judged = (joined > 0) & (joined < size)
    joined, said, both = joined[is_judged], said[is_judged], both[is_judged]
    return {
        "precision": both / np.maximum(said, 1),
        "recall": both / joined,
        "f1": 2 * both / (said + joined),
    }


def macro_scores(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[int]
) -> dict[str, float]:
    """Returns macro precision, recall and F1: unweighted means over `classes`.

    A class that is never predicted has precision 0; one that never occurs, recall 0.
    """
    p, r, f, _ = precision_recall_fscore_support(
        labels, predicted, labels=list(classes), average="macro", zero_division=0.0
    )
    return {"macro_precision": float(p), "macro_recall": float(r), "macro_f1": float(f)}


def best_threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """Returns the threshold with the best macro-F1 over {no, yes} on validation pairs.

    Every score is tried; of equals the lowest is taken. Without both labels there is
    nothing to choose by, and .5 it is.
    """
    if len(np.unique(labels)) < 2:
        return 0.5
    candidates, place = np.unique(scores, return_inverse=True)
    counts = [
        np.bincount(place[labels == label], minlength=len(candidates))
        for label in (0, 1)
    ]
    # At each candidate: pairs of either label whose score reaches it.
    fp, tp = (np.cumsum(count[::-1])[::-1] for count in counts)
    fn, tn = tp[0] - tp, fp[0] - fp
    f1_yes = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    f1_no = 2 * tn / np.maximum(2 * tn + fp + fn, 1)
    return float(candidates[np.argmax(f1_yes + f1_no)])


def bootstrap_average_precision(
    folds: Sequence[Scores], draws: int, seed: int
) -> np.ndarray:
    """Draws users with replacement and returns the mean average precision of the folds.

    A draw gives each user a multiplicity, the same in every fold and seed; a fold
    without a positive in a draw is left out of that draw's mean. Two models under the
    same seed see the same draws, so the difference of their arrays is a paired
    bootstrap.

    Returns:
        float (draws,), NaN where no fold has a positive. The 2.5th and 97.5th
        percentiles make the interval.
    """
    users = np.unique(np.concatenate([np.unique(fold.users) for fold in folds]))
    counts = _multiplicities(len(users), draws, seed)
    values = np.stack(
        [
            weighted_average_precision(
                fold, counts[:, np.searchsorted(users, np.unique(fold.users))]
            )
            for fold in folds
        ]
    )
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


@lru_cache(maxsize=2)
def _multiplicities(num_users: int, draws: int, seed: int) -> np.ndarray:
    """How often each draw takes each user: float (draws, num_users)."""
    rng = np.random.default_rng(seed)
    shares = np.full(num_users, 1 / num_users)
    counts = rng.multinomial(num_users, shares, draws).astype(np.float64)
    counts.flags.writeable = False  # every model gets the same array
    return counts


def weighted_average_precision(fold: Scores, weights: np.ndarray) -> np.ndarray:
    """Returns average precision under many weightings of users at once, ties handled.

    Precision changes only where a positive enters. With K different scores among the
    positives, what users have above each of them is a matrix (num_users, K), and every
    weighting is one row of a matrix product.

    Args:
        fold: labels, scores, users.
        weights: float (draws, num_users), non-negative, the users as `np.unique` sorts
            them; each counts for all pairs of its user.

    Returns:
        float (draws,); NaN where no positive has weight.
    """
    user_ids, user = np.unique(fold.users, return_inverse=True)
    is_positive = fold.labels == 1
    steps = np.unique(fold.scores[is_positive])
    # Pairs enter from the highest score down; those below every positive, never.
    step = len(steps) - np.searchsorted(steps, fold.scores, side="right")
    # Whole numbers, exact in float32 up to 2^24 pairs.
    weights = weights.astype(np.float32)
    true, called, area = np.zeros((3, len(weights)))
    for first in range(0, len(steps), _STEPS_AT_ONCE):
        width = min(_STEPS_AT_ONCE, len(steps) - first)
        enters = (step >= first) & (step < first + width)
        cells = user * width + step - first
        shape = (len(user_ids), width)
        new, new_true = (
            weights @ _count_cells(cells[rows], shape)
            for rows in (enters, enters & is_positive)
        )
        called_so_far = called[:, None] + np.cumsum(new, axis=1, dtype=np.float64)
        true_so_far = true[:, None] + np.cumsum(new_true, axis=1, dtype=np.float64)
        called, true = called_so_far[:, -1], true_so_far[:, -1]
        precision = true_so_far / np.maximum(called_so_far, _TINY)
        area += (new_true * precision).sum(axis=1)
    return np.asarray(np.where(true > 0, area / np.maximum(true, _TINY), np.nan))


def _count_cells(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    counts = np.bincount(cells, minlength=shape[0] * shape[1])
    return counts.reshape(shape).astype(np.float32)


def broken_identities(
    precision: float,
    recall: float,
    f1: float,
    is_binary: bool,
    rounding: float = _ROUNDING,
) -> list[str]:
    """Names the identities that a row of macro precision, recall and F1 breaks.

    Per class F1 = 2PR/(P+R), hence F1 ≤ 2P, F1 ≤ 2R and F1 ≤ (P+R)/2, and the same for
    unweighted means over classes. In a 2×2 table macro recall and macro precision lie
    on the same side of .5, since both exceed it exactly where TP·TN > FP·FN.

    Args:
        precision: macro precision, in [0, 1].
        recall: macro recall.
        f1: macro F1, the mean of the classes' F1s.
        is_binary: whether the classes are {no, yes}.
        rounding: half a unit of the last decimal that the numbers have.

    Returns:
        One short line for each broken identity; empty where the row can exist.
    """
    slack = 3 * rounding
    broken = []
    if f1 > 2 * precision + slack:
        broken.append("F1 > 2P")
    if f1 > 2 * recall + slack:
        broken.append("F1 > 2R")
    if f1 > (precision + recall) / 2 + slack:
        broken.append("F1 > (P+R)/2")
    if is_binary and recall > 0.5 + slack and precision < 0.5 - slack:
        broken.append("R > .5 but P < .5")
    if is_binary and precision > 0.5 + slack and recall < 0.5 - slack:
        broken.append("P > .5 but R < .5")
    return broken
