"""What the numbers mean: each metric under its own name, with an interval.

scikit-learn computes what it has; ours are the bootstrap over users and the identities
that any honest row of precision, recall and F1 obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
)

# Published numbers are rounded to three decimals.
_ROUNDING = 0.0005


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
        `average_precision` (area under precision–recall, without interpolation),
        `roc_auc`, `brier`, `prevalence`; at the threshold `macro_precision`,
        `macro_recall`, `macro_f1` (unweighted means over {no, yes}; F1 is the mean of
        the two F1s, not the F1 of the means), `precision`, `recall`, `f1` of "yes",
        `mcc`; and the three macro values at .5 under `…_at_half`.
    """
    called = (scores >= threshold).astype(int)
    macro = macro_scores(labels, called, classes=(0, 1))
    at_half = macro_scores(labels, (scores >= 0.5).astype(int), classes=(0, 1))
    p, r, f, _ = precision_recall_fscore_support(
        labels, called, average="binary", zero_division=0.0
    )
    return {
        "average_precision": float(average_precision_score(labels, scores)),
        "roc_auc": float(roc_auc_score(labels, scores)),
        "brier": float(brier_score_loss(labels, scores)),
        "prevalence": float(np.mean(labels)),
        **macro,
        "precision": float(p),
        "recall": float(r),
        "f1": float(f),
        "mcc": float(matthews_corrcoef(labels, called)),
        **{f"{name}_at_half": value for name, value in at_half.items()},
        "threshold": float(threshold),
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
    candidates = np.unique(scores)
    called = scores[None, :] >= candidates[:, None]
    positive = labels == 1
    tp = (called & positive).sum(axis=1)
    fp = (called & ~positive).sum(axis=1)
    fn, tn = positive.sum() - tp, (~positive).sum() - fp
    f1_yes = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    f1_no = 2 * tn / np.maximum(2 * tn + fp + fn, 1)
    return float(candidates[np.argmax(f1_yes + f1_no)])


def bootstrap_average_precision(
    folds: Sequence[Scores], draws: int, seed: int
) -> np.ndarray:
    """Draws users with replacement and returns the mean average precision of the folds.

    A draw gives each user a multiplicity, the same in every fold; a fold without a
    positive in a draw is left out of that draw's mean. Two models under the same seed
    see the same draws, so the difference of their arrays is a paired bootstrap.

    Returns:
        float (draws,), NaN where no fold has a positive. The 2.5th and 97.5th
        percentiles make the interval.
    """
    users = np.unique(np.concatenate([fold.users for fold in folds]))
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(users), np.full(len(users), 1 / len(users)), draws)
    values = np.stack(
        [
            weighted_average_precision(
                fold, counts[:, np.searchsorted(users, fold.users)]
            )
            for fold in folds
        ]
    )
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def weighted_average_precision(fold: Scores, weights: np.ndarray) -> np.ndarray:
    """Returns average precision under many weightings at once, ties handled.

    Args:
        fold: labels and scores.
        weights: (draws, num_pairs), non-negative.

    Returns:
        float (draws,); NaN where no positive has weight.
    """
    order = np.argsort(-fold.scores, kind="stable")
    scores, weights = fold.scores[order], weights[:, order].astype(np.float64)
    positive = weights * fold.labels[order]
    # Equal scores enter together: each pair's precision is that at its tie's end.
    ends = np.searchsorted(-scores, -scores, side="right") - 1
    true = np.cumsum(positive, axis=1)
    called = np.cumsum(weights, axis=1)
    precision = true[:, ends] / np.maximum(called[:, ends], 1e-12)
    total = positive.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (positive * precision).sum(axis=1) / np.where(total, total, np.nan)
        )


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
