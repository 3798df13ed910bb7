"""Combines the signals of a pair into one probability, by a logistic regression.

The prior of the weights is centred on a simple rule instead of zero: propensity times
popularity, whether the user posts in the days of the challenge, and the cosines of
topics, captions and frames. Training pairs move the weights away from that rule. In a
study with twenty joins the rule decides; in one with thousands the data do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from dc_keras.signals.table import SignalTable

# Chosen on random parts of the training rows of the real benchmark, 100 to 400 users
# and 10 to 40 challenges, and on the whole (docs/results.md).
C = 0.01
RULE_WEIGHT = 0.5
COSINE_WEIGHT = 0.3
_RATES = ("rates/popularity", "rates/propensity")
_IN_TIME = "time/posts_in_window"
_COSINES = ("text/topic_cosine", "text/centred_caption_cosine")
_FRAMES = "frames/"
# A post outside the days of the challenge does not make joining impossible.
_OUT_OF_TIME = 0.5
# Standard deviations beyond which a signal is cut.
_FAR = 5.0
_MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Combination:
    """A fitted combination.

    Attributes:
        names: the signals, in order.
        mean: float64 (num_signals,), of the training pairs where known; it stands for
            what is unknown.
        scale: float64 (num_signals,), one over the standard deviation; 0 where a signal
            says the same of every training pair.
        weights: float64 (num_signals,), of the standardised signals, beside the rule.
        intercept: of the log-odds.
    """

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    intercept: float

    def predict(self, signals: SignalTable) -> np.ndarray:
        """Returns the probability of every pair, float64 (num_pairs,).

        Args:
            signals: with the columns that were fitted on.
        """
        values = signals.values.astype(np.float64)
        moved = self.standardize(values) @ self.weights
        return np.asarray(expit(self.intercept + self.log_odds_of_rule(values) + moved))

    def standardize(self, values: np.ndarray) -> np.ndarray:
        """Returns signals in standard deviations, unknown ones at their mean."""
        known = np.where(np.isnan(values), self.mean, values)
        return np.asarray(np.clip((known - self.mean) * self.scale, -_FAR, _FAR))

    def log_odds_of_rule(self, values: np.ndarray) -> np.ndarray:
        """Returns the log-odds of the simple rule, up to a constant."""
        column = {name: index for index, name in enumerate(self.names)}
        known = np.where(np.isnan(values), self.mean, values)
        rule = np.zeros(len(values))
        for name in _RATES:
            if name in column:
                rule += RULE_WEIGHT * known[:, column[name]]
        if _IN_TIME in column:
            near = np.maximum(known[:, column[_IN_TIME]], 0.0)
            rule += RULE_WEIGHT * np.log(_OUT_OF_TIME + near)
        cosines = [
            index
            for name, index in column.items()
            if name in _COSINES or name.startswith(_FRAMES)
        ]
        if cosines:
            rule += COSINE_WEIGHT * self.standardize(values)[:, cosines].mean(axis=1)
        return rule


def fit_combination(
    signals: SignalTable, label: np.ndarray, train: np.ndarray
) -> Combination:
    """Fits a combination.

    Args:
        signals: of all pairs; those of training pairs out of fold.
        label: int32 (num_pairs,), read for training pairs alone.
        train: positions of the training pairs; both labels occur.
    """
    values = signals.values[train].astype(np.float64)
    is_known = ~np.isnan(values)
    count = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, values, 0.0).sum(axis=0) / count
    variance = np.where(is_known, np.square(values - mean), 0.0).sum(axis=0) / count
    scale = np.divide(
        1.0, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0
    )
    rule = Combination(signals.names, mean, scale, np.zeros(len(mean)), 0.0)
    weights, intercept = _fit_around(
        rule.standardize(values), rule.log_odds_of_rule(values), label[train]
    )
    return Combination(signals.names, mean, scale, weights, intercept)


def _fit_around(
    values: np.ndarray, rule: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, float]:
    """Minimises |w|²/2 + C·Σ log-loss(rule + w·values + b) over w and b.

    Args:
        values: float64 (num_pairs, num_signals), standardised.
        rule: float64 (num_pairs,), log-odds that stay as they are.
        label: 0 or 1, (num_pairs,).
    """
    num_signals = values.shape[1]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logit = values @ weights[:-1] + weights[-1] + rule
        error = expit(logit) - label
        penalty = weights[:-1] @ weights[:-1] / 2
        total = (np.logaddexp(0.0, logit) - label * logit).sum()
        gradient = np.append(C * (values.T @ error) + weights[:-1], C * error.sum())
        return float(C * total + penalty), gradient

    found = minimize(
        loss,
        np.zeros(num_signals + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS},
    )
    return np.asarray(found.x[:-1]), float(found.x[-1])
