"""Logistic regression that combines the features of a pair into log-odds.

The weights are regularized towards a simple rule instead of zero: propensity times
popularity, posts in the days of the challenge, and the cosines of topics, captions and
frames. If it is known what users did before a cutoff, their joins per day replace
propensity, and recent posts of the challenge replace popularity. With few training
pairs the model is close to the rule; with many pairs it follows the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import expit

from dc_keras.context.set_vectors import is_known

# Chosen on the training rows of the real benchmark, and on random parts of them with
# 100 to 400 users and 10 to 40 challenges (docs/results.md).
C = 0.01
RULE_WEIGHT = 0.5
COSINE_WEIGHT = 0.3
_RATES = ("rates/popularity", "rates/propensity")
_PAST_RATES = (
    "rates/recent_supporters",
    "past/joined_per_post",
    "past/posts_per_day",
)
_IN_TIME = "time/posts_in_window"
_COSINES = ("text/topic_cosine", "text/caption_cosine", "frames/cosine")
# Factor for users without posts in the days of the challenge, who may still join.
_OUT_OF_TIME = 0.5
# Standardized features are clipped to [−_FAR, _FAR].
_FAR = 5.0
_MAX_ITERATIONS = 1000
# Number of pairs that are standardized at once.
_BLOCK = 2**16


class Combination(tf.Module):
    """A fitted logistic regression.

    Args:
        names: names of the features, in order.
        weights: float arrays by name. `mean` (num_features,): mean of the known values
            in training pairs, which replaces unknown values. `scale` (num_features,):
            one over the standard deviation, 0 for a constant feature. `weights`
            (num_features,): weights of the standardized features, added to the rule.
            `intercept` (): intercept of the log-odds.
    """

    def __init__(self, names: Sequence[str], weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name="combination")
        self.names = tuple(names)
        self.weights = {n: np.asarray(v, np.float32) for n, v in weights.items()}
        self._variables = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in self.weights.items()
        }

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the log-odds of joining, float32 (batch_size,).

        Args:
            features: float32 (batch_size, num_features), `UNKNOWN` where unknown.
        """
        standardized = self.standardize(features)
        correction = standardized @ self._variables["weights"][:, None]
        return self._variables["intercept"] + self.rule(features) + correction[:, 0]

    def standardize(self, features: tf.Tensor) -> tf.Tensor:
        """Returns standardized features, 0 where unknown; same shape."""
        mean, scale = self._variables["mean"], self._variables["scale"]
        known = tf.where(is_known(features), features, mean)
        return tf.clip_by_value((known - mean) * scale, -_FAR, _FAR)

    def rule(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the log-odds of the simple rule, up to a constant: (batch_size,)."""
        known = tf.where(is_known(features), features, self._variables["mean"])
        standardized = self.standardize(features)
        column = {name: index for index, name in enumerate(self.names)}
        rule = tf.zeros_like(features[:, 0])
        has_past = self._varies(column, "past/joined_per_post")
        for name in _PAST_RATES if has_past else _RATES:
            if name in column:
                rule += RULE_WEIGHT * known[:, column[name]]
        if _IN_TIME in column:
            near = tf.maximum(known[:, column[_IN_TIME]], 0.0)
            rule += RULE_WEIGHT * tf.math.log(_OUT_OF_TIME + near)
        cosines = [column[name] for name in _COSINES if self._varies(column, name)]
        for index in cosines:
            rule += COSINE_WEIGHT / len(cosines) * standardized[:, index]
        return rule

    def _varies(self, column: Mapping[str, int], name: str) -> bool:
        """Returns whether a feature differs between training pairs."""
        return name in column and bool(self.weights["scale"][column[name]])


def fit_combination(
    names: Sequence[str], features: np.ndarray, label: np.ndarray, weight: np.ndarray
) -> Combination:
    """Fits a logistic regression.

    Args:
        names: names of the features, in order.
        features: float (num_pairs, num_features), features of training pairs, out of
            fold, NaN where unknown.
        label: 0 or 1, (num_pairs,), both present.
        weight: float (num_pairs,), weight of each pair.
    """
    mean, scale = _moments(features, weight)
    start = {
        "mean": mean,
        "scale": scale,
        "weights": np.zeros(len(mean)),
        "intercept": np.zeros(()),
    }
    prior = Combination(names, start)
    values, rule = np.empty(features.shape), np.empty(len(features))
    for first in range(0, len(features), _BLOCK):
        rows = slice(first, first + _BLOCK)
        known = np.where(np.isnan(features[rows]), mean, features[rows])
        block = tf.constant(known, tf.float32)
        values[rows], rule[rows] = prior.standardize(block), prior.rule(block)
    weights, intercept = _fit_around(values, rule, label, weight)
    return Combination(names, {**start, "weights": weights, "intercept": intercept})


def _moments(features: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns `mean` and `scale` of `Combination`, one feature at a time."""
    mean, scale = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for column, values in enumerate(features.T):
        known = np.flatnonzero(~np.isnan(values))
        of_known, share = values[known].astype(np.float64), weight[known]
        total = max(share.sum(), 1e-9)
        mean[column] = of_known @ share / total
        variance = np.square(of_known - mean[column]) @ share / total
        if variance > 1e-12:
            scale[column] = 1.0 / np.sqrt(variance)
    return mean, scale


def _fit_around(
    values: np.ndarray, rule: np.ndarray, label: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Minimises |w|²/2 + C·Σ weight·log-loss(rule + w·values + b) over w and b."""
    num_features = values.shape[1]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logit = values @ weights[:-1] + weights[-1] + rule
        error = weight * (expit(logit) - label)
        penalty = weights[:-1] @ weights[:-1] / 2
        total = (weight * (np.logaddexp(0.0, logit) - label * logit)).sum()
        gradient = np.append(C * (values.T @ error) + weights[:-1], C * error.sum())
        return float(C * total + penalty), gradient

    result = minimize(
        loss,
        np.zeros(num_features + 1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS},
    )
    return result.x[:-1], result.x[-1]
