"""Boosted trees on the signals: what holds for some pairs and not for others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from dc_keras.signals.folds import Step

_LEAST_RATE = 1e-4


def boosted_trees(
    signals: np.ndarray, label: np.ndarray, steps: Sequence[Step], seed: int
) -> np.ndarray:
    """Returns the log-odds of joining by gradient-boosted trees, out of fold.

    Each step fits trees on its pairs' signals, which are out of fold themselves, and
    scores others. Chosen on training rows of the real benchmark (docs/results.md).

    Args:
        signals: float32 (num_pairs, num_signals), NaN where unknown.
        label: int32 (num_pairs,), read where a step fits.
        steps: of `folds.plan_steps`.
        seed: of the trees.

    Returns:
        float64 (num_pairs,); NaN where no step scores.
    """
    scores = np.full(len(label), np.nan)
    # Folds run side by side, and threads that wait for each other lose more.
    with threadpool_limits(1, user_api="openmp"):
        for step in steps:
            scores[step.scored] = _fit_and_score(signals, label, step, seed)
    return scores


def _fit_and_score(
    signals: np.ndarray, label: np.ndarray, step: Step, seed: int
) -> np.ndarray:
    seen, known = label[step.fitted], signals[step.fitted]
    columns = np.flatnonzero(~np.isnan(known).all(axis=0))
    if seen.min() == seen.max() or len(columns) == 0:
        rate = np.clip(seen.mean(), _LEAST_RATE, 1 - _LEAST_RATE)
        return np.full(len(step.scored), np.log(rate / (1 - rate)))
    trees = HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=75,
        max_leaf_nodes=8,
        min_samples_leaf=60,
        l2_regularization=5.0,
        random_state=seed,
    )
    trees.fit(known[:, columns], seen)
    return np.asarray(trees.decision_function(signals[step.scored][:, columns]))
