"""Average precision of pairs, with bootstrap intervals over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

BOOTSTRAP_DRAWS = 1000
BOOTSTRAP_SEED = 0
# Limits the size of the bootstrap's matrices (num_users, steps) and (draws, steps).
_STEPS_AT_ONCE = 1024
_TINY = 1e-12


@dataclass(frozen=True)
class Scores:
    """The scores of the pairs of one fold.

    Attributes:
        labels: 0/1 (num_pairs,).
        scores: float (num_pairs,), higher for pairs more likely to join.
        users: (num_pairs,), user of each pair; the unit of the bootstrap.
    """

    labels: np.ndarray
    scores: np.ndarray
    users: np.ndarray


def bootstrap_average_precision(
    folds: Sequence[Scores], draws: int, seed: int
) -> np.ndarray:
    """Returns bootstrap draws, over users, of the mean average precision of folds.

    A draw assigns each user a multiplicity, the same in all folds. A fold without a
    positive in a draw is left out of the mean of that draw. Draws depend on the seed
    and the users only, so that the difference between two models is a paired bootstrap.

    Returns:
        float (draws,), NaN where no fold has a positive. Its 2.5th and 97.5th
        percentiles are the 95 % interval.
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
    """Returns how often each draw has each user, float (draws, num_users)."""
    rng = np.random.default_rng(seed)
    shares = np.full(num_users, 1 / num_users)
    counts = rng.multinomial(num_users, shares, draws).astype(np.float64)
    counts.flags.writeable = False  # the cached array is shared
    return counts


def weighted_average_precision(fold: Scores, weights: np.ndarray) -> np.ndarray:
    """Returns the average precision under many weightings of users, with ties.

    Recall changes only at the scores of positives. For the K different scores of
    positives, a matrix (num_users, K) has the number of pairs of each user that reach
    each score, and its product with the weights gives all weightings at once.

    Args:
        fold: labels, scores and users.
        weights: float (draws, num_users), non-negative, in the order of
            `np.unique(fold.users)`.

    Returns:
        float (draws,); NaN where no positive has weight.
    """
    user_ids, user = np.unique(fold.users, return_inverse=True)
    is_positive = fold.labels == 1
    steps = np.unique(fold.scores[is_positive])
    # Pairs are added from the highest score down; those below all positives never are.
    step = len(steps) - np.searchsorted(steps, fold.scores, side="right")
    # Counts are exact in float32 up to 2^24 pairs.
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
