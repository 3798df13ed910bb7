"""Calibrates probabilities, and forecasts numbers of participants from them.

Training weights classes and samples negatives, so a score of .3 is not a frequency of
three in ten. The calibration curve is fitted on the validation rows; they selected the
epoch of early stopping but no weight. A single challenge may still attract more or
fewer users than the curve predicts. The spread of these offsets is estimated from the
challenges of the validation rows and is included in every interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf

METHODS = ("platt", "temperature", "isotonic", "none")

_EPSILON = 1e-6
# The fewest rows of each class that a curve is fitted on.
_LEAST_JOINED = 5
_DRAWS = 2000
# Prior scale of the challenges' offsets, in log-odds.
_PRIOR_SPREAD = 0.5
_NUM_SPREADS = 20
_IDENTITY = (-16.0, 16.0)


@dataclass(frozen=True)
class Calibration:
    """An increasing curve from the model's log-odds to calibrated log-odds.

    Attributes:
        method: one of `METHODS`: the requested one, or "none" if there were too few
            rows.
        knots: log-odds of the model at the curve's knots, ascending; the curve is
            linear between the knots and is extrapolated linearly beyond them.
        values: calibrated log-odds at the knots.
        offsets: for each challenge, the log-odds by which it attracted more users than
            the curve predicts, and the variance of this estimate.
        spreads: equally likely standard deviations of the true offsets of challenges.
        common_error: standard error of the curve's height, in log-odds, from the
            sampling of validation users.
        num_pairs: number of validation rows that the curve was fitted on.
    """

    method: str = "none"
    knots: tuple[float, ...] = _IDENTITY
    values: tuple[float, ...] = _IDENTITY
    offsets: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    spreads: tuple[float, ...] = (0.0,)
    common_error: float = 0.0
    num_pairs: int = 0

    @classmethod
    def of_model(cls, directory: Path, method: str = "platt") -> Calibration:
        """Fits a calibration on the validation rows of a participation model directory.

        "platt" fits a slope and an intercept, "temperature" only a slope, "isotonic"
        any increasing curve.
        """
        predictions = pl.read_parquet(directory / "predictions.parquet")
        return cls.fit(
            predictions["score"].to_numpy().astype(float),
            predictions["label"].to_numpy().astype(float),
            predictions["challenge"].to_list(),
            method,
            users=predictions["user_id"].to_list(),
        )

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        labels: np.ndarray,
        challenges: list[str],
        method: str = "platt",
        *,
        users: list[str] | None = None,
    ) -> Calibration:
        """Fits a calibration on pairs.

        Args:
            scores: the model's probabilities, (num_pairs,).
            labels: 0 or 1, (num_pairs,).
            challenges: challenge of each pair.
            method: one of `METHODS`.
            users: user of each pair, so that `common_error` includes the correlation of
                a user's pairs. None treats all pairs as independent.
        """
        joined = labels.sum()
        if method == "none" or min(joined, len(labels) - joined) < _LEAST_JOINED:
            return cls(num_pairs=len(labels))
        knots, values = _CURVES[method](log_odds(scores), labels)
        curve = cls(method, tuple(knots.tolist()), tuple(values.tolist()))
        calibrated = curve.apply(scores)
        names, surplus, information = _surpluses(
            calibrated, labels, np.array(challenges)
        )
        delta = surplus / information
        groups = np.arange(len(labels)) if users is None else np.array(users)
        _, user_surplus, _ = _surpluses(calibrated, labels, groups)
        return replace(
            curve,
            offsets={
                str(name): (float(d), float(1 / i))
                for name, d, i in zip(names, delta, information, strict=True)
            },
            spreads=_likely_spreads(delta, information),
            common_error=float(
                np.sqrt(user_surplus @ user_surplus) / information.sum()
            ),
            num_pairs=len(labels),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Returns the calibration of a dictionary of `to_dict`, also read from JSON."""
        lists = {name: tuple(values[name]) for name in ("knots", "values", "spreads")}
        offsets = {name: tuple(pair) for name, pair in values["offsets"].items()}
        return cls(**{**values, **lists, "offsets": offsets})

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of calibration.json."""
        return asdict(self)

    @property
    def spread(self) -> float:
        """Median of `spreads`."""
        return float(np.median(self.spreads))

    def draw_offsets(
        self, challenge: str | None, rng: np.random.Generator, num_draws: int
    ) -> np.ndarray:
        """Draws the offset of a challenge from the curve, in log-odds.

        Args:
            challenge: name of the challenge; None or an unknown name for a new one.
            rng: random number generator.
            num_draws: number of draws.

        Returns:
            float64 (num_draws,).
        """
        variance = np.square(rng.choice(self.spreads, num_draws))
        delta, error = self.offsets.get(challenge or "", (0.0, np.inf))
        # The estimate, shrunk towards 0 by the spread of all challenges.
        share = variance / (variance + error)
        remaining = variance * (1 - share) + self.common_error**2
        drawn = share * delta + np.sqrt(remaining) * rng.standard_normal(num_draws)
        return np.asarray(drawn)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Returns calibrated probabilities, float64, in the shape of `scores`."""
        flat = tf.constant(np.ravel(scores), tf.float64)
        return np.asarray(np.reshape(calibrate(flat, self), np.shape(scores)))


def calibrate(scores: tf.Tensor, calibration: Calibration) -> tf.Tensor:
    """Computes `Calibration.apply` in a graph, (B,) in the dtype of `scores`."""
    if calibration.method == "none":
        return scores
    knots = tf.constant(calibration.knots, scores.dtype)
    values = tf.constant(calibration.values, scores.dtype)
    scores = tf.clip_by_value(scores, _EPSILON, 1 - _EPSILON)
    x = tf.math.log(scores) - tf.math.log1p(-scores)
    piece = tf.searchsorted(knots, x, side="right") - 1
    piece = tf.clip_by_value(piece, 0, len(calibration.knots) - 2)
    low, high = tf.gather(knots, piece), tf.gather(knots, piece + 1)
    start, end = tf.gather(values, piece), tf.gather(values, piece + 1)
    return tf.sigmoid(start + (end - start) * (x - low) / (high - low))


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Returns log(p / (1 − p)) with p clipped, so that the result is finite."""
    p = np.clip(np.asarray(probability, np.float64), _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(p) - np.log1p(-p))


# scikit-learn is imported where a curve is fitted, because `predict` never fits one.
def _line(
    x: np.ndarray, labels: np.ndarray, *, has_intercept: bool
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=1e3, fit_intercept=has_intercept)
    line.fit(x[:, None], labels)
    # A negative slope would reverse the ranking; a slope near 0 keeps only the rate.
    slope = max(float(line.coef_[0, 0]), 1e-3)
    knots = np.array(_IDENTITY)
    return knots, slope * knots + line.intercept_[0]


def _isotonic(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.isotonic import IsotonicRegression

    # The limits exclude 0 and 1: a rate of 0 in a few rows is no certainty.
    least = 1 / (len(labels) + 2)
    steps = IsotonicRegression(y_min=least, y_max=1 - least).fit(x, labels)
    knots, first = np.unique(steps.X_thresholds_, return_index=True)
    values = log_odds(steps.y_thresholds_[first])
    if len(knots) == 1:
        knots, values = knots[0] + np.array([0.0, 1.0]), np.repeat(values, 2)
    return knots, values


_CURVES: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "platt": partial(_line, has_intercept=True),
    "temperature": partial(_line, has_intercept=False),
    "isotonic": _isotonic,
}


def _surpluses(
    probability: np.ndarray, labels: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the distinct names, sorted, and for each: joined − expected, and I.

    One Newton step on a name's log-odds gives δ = (joined − expected) / I with variance
    1 / I, where I = Σ p (1 − p).
    """
    groups, row = np.unique(names, return_inverse=True)
    surplus = np.bincount(row, labels - probability, len(groups))
    information = np.bincount(row, probability * (1 - probability), len(groups))
    return groups, surplus, information


def _likely_spreads(delta: np.ndarray, information: np.ndarray) -> tuple[float, ...]:
    """Returns equally likely standard deviations τ of the challenges' offsets.

    A few challenges do not determine τ, and a point estimate is often 0. These are
    quantiles of its posterior with δ_c ~ N(0, τ² + 1 / I_c) and a half-normal prior of
    scale `_PRIOR_SPREAD` (Gelman 2006).
    """
    spreads = np.linspace(0, 6 * _PRIOR_SPREAD, 601)
    variance = spreads[:, None] ** 2 + 1 / information
    log_density = -0.5 * (
        (np.log(variance) + delta**2 / variance).sum(axis=1)
        + (spreads / _PRIOR_SPREAD) ** 2
    )
    below = np.cumsum(np.exp(log_density - log_density.max()))
    middles = (np.arange(_NUM_SPREADS) + 0.5) / _NUM_SPREADS
    rows = np.searchsorted(below / below[-1], middles)
    return tuple(spreads[rows].tolist())


@dataclass(frozen=True)
class Forecast:
    """A forecast of the number of users who join.

    Attributes:
        expected: expected number.
        low: lower end of the interval.
        high: upper end of the interval.
        level: probability that the interval contains the true number, in (0, 1).
    """

    expected: float
    low: int
    high: int
    level: float


def forecast_participants(
    probability: np.ndarray,
    calibration: Calibration,
    challenge: str | None,
    *,
    level: float = 0.9,
    seed: int = 0,
) -> Forecast:
    """Returns the expected number of participants of a challenge, with an interval.

    The interval covers three sources of uncertainty: the offset of the challenge and
    the height of the calibration curve, both normal in the log-odds, and the number of
    users who join given these. That number is Poisson-binomial and is approximated by
    its normal limit.

    Args:
        probability: calibrated probabilities of the bundle, (num_users,).
        calibration: calibration of the bundle.
        challenge: name of the challenge; None for one outside the training set.
        level: level of the interval, in (0, 1).
        seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    shifts = calibration.draw_offsets(challenge, rng, _DRAWS)
    # Users are binned by log-odds, so that the time does not depend on their number.
    counts, edges = np.histogram(log_odds(probability), 2000)
    middle = (edges[:-1] + edges[1:]) / 2
    used = counts > 0
    p = 1 / (1 + np.exp(-(middle[used] + shifts[:, None])))
    means = p @ counts[used]
    deviations = np.sqrt((p * (1 - p)) @ counts[used])
    numbers = means + deviations * rng.standard_normal(len(means))
    tail = (1 - level) / 2
    low, high = np.quantile(numbers, [tail, 1 - tail])
    return Forecast(
        expected=float(means.mean()),
        low=int(np.clip(np.floor(low), 0, len(probability))),
        high=int(np.clip(np.ceil(high), 0, len(probability))),
        level=level,
    )
