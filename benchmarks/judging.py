"""Measures the cost of the metrics and the bootstrap, compared with scikit-learn.

    python -m benchmarks.judging

Synthetic predictions (seed 0): 18,200 pairs of 364 users and 50 challenges per fold, 3
% positive. Prints CPU seconds per model and fold of the bootstrap of average precision
(1000 draws of users), of scikit-learn's weighted average precision for the same number
of draws (measured on 50), their ratio, and of all metrics of pairs, as medians of five
interleaved runs. Both implementations must agree on their common draws.
"""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime

import numpy as np
from sklearn.metrics import average_precision_score

from benchmarks.turns import interleaved
from dc_keras.evaluation.metrics import (
    Scores,
    bootstrap_average_precision,
    pair_metrics,
)

_NUM_USERS, _NUM_CHALLENGES = 364, 50
_PREVALENCE = 0.03
_DRAWS, _DRAWS_OF_PEER = 1000, 50
_NUM_RUNS = 5
_TOLERANCE = 1e-9


def make_fold() -> Scores:
    """Returns scores that are weakly correlated with the labels."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(_NUM_USERS), _NUM_CHALLENGES)
    labels = (rng.random(len(users)) < _PREVALENCE).astype(int)
    return Scores(labels, 0.2 * labels + 0.8 * rng.random(len(users)), users)


def draw_one_by_one(fold: Scores) -> np.ndarray:
    """Returns the average precision of the first draws, by scikit-learn."""
    shares = np.full(_NUM_USERS, 1 / _NUM_USERS)
    counts = np.random.default_rng(0).multinomial(_NUM_USERS, shares, _DRAWS)
    return np.array(
        [
            average_precision_score(fold.labels, fold.scores, sample_weight=c)
            for c in counts[:_DRAWS_OF_PEER, fold.users]
        ]
    )


def main() -> None:
    """Prints the figures."""
    fold = make_fold()
    ours = bootstrap_average_precision([fold], _DRAWS, 0)
    difference = np.abs(ours[:_DRAWS_OF_PEER] - draw_one_by_one(fold)).max()
    if difference > _TOLERANCE:
        raise SystemExit(f"the two bootstraps differ by {difference}")
    bootstrap, one_by_one, metrics = interleaved(
        lambda: bootstrap_average_precision([fold], _DRAWS, 0),
        lambda: draw_one_by_one(fold),
        lambda: pair_metrics(fold.labels, fold.scores, 0.5),
        num_rounds=_NUM_RUNS,
        num_warm_up=0,
        clock=time.process_time,
    )
    peer = one_by_one * _DRAWS / _DRAWS_OF_PEER
    print(f"bootstrap, {_DRAWS} draws: {bootstrap:.3f} s per model and fold")
    print(f"scikit-learn, draw by draw: {peer:.3f} s, {peer / bootstrap:.0f} ×")
    print(f"all metrics of pairs: {metrics:.3f} s per model and fold")
    print(f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
