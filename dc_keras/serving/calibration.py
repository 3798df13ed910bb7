"""Turns scores into probabilities that hold, and probabilities into expected numbers.

Training weighs classes and leaves out negatives, so that a score of .3 is not three in
ten. Calibration is fitted on validation rows, which chose the epoch at which training
stopped but weighed nothing. What it cannot know is how much more or less a single
challenge attracts than the model says: that spread is estimated from the challenges of
the validation rows, and goes into every interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

METHODS = ("platt", "temperature", "isotonic", "none")

_EPSILON = 1e-6
# Below it nothing can be learned of a curve, and below it nothing of a line.
_LEAST_JOINED = 5
_DRAWS = 2000
# Log-odds by which challenges may differ before anything is seen of them.
_PRIOR_SPREAD = 0.5
_NUM_SPREADS = 20
_IDENTITY = (-16.0, 16.0)


@dataclass(frozen=True)
class Calibration:
    """A rising curve from the model's log-odds to calibrated ones.

    Attributes:
        method: one of `METHODS`; what was asked for, or "none" where there were too few
            rows.
        told: log-odds of the model at the curve's knots, ascending; between two knots
            and beyond the outermost the curve is straight.
        meant: calibrated log-odds at the knots.
        offsets: by challenge, log-odds by which it attracted more than the curve says,
            and the variance of that estimate.
        spreads: standard deviations of the true offsets over challenges, each as likely
            as any other.
        common_error: standard error of the curve's height, in log-odds: validation
            users are a sample.
        num_pairs: validation rows that it was fitted on.
    """

    method: str = "none"
    told: tuple[float, ...] = _IDENTITY
    meant: tuple[float, ...] = _IDENTITY
    offsets: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    spreads: tuple[float, ...] = (0.0,)
    common_error: float = 0.0
    num_pairs: int = 0

    @classmethod
    def of_model(cls, directory: Path, method: str = "platt") -> Calibration:
        """Fits on the validation rows that a model directory keeps.

        Args:
            directory: of a participation model.
            method: one of `METHODS`: "platt" has slope and intercept, "temperature" a
                slope alone, "isotonic" is any rising curve.
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
        """Fits on pairs.

        Args:
            scores: the model's probabilities (num_pairs,).
            labels: 0 or 1 (num_pairs,).
            challenges: of each pair.
            method: one of `METHODS`.
            users: of each pair: what is common to a user's pairs widens
                `common_error`. None takes pairs as independent.
        """
        joined = labels.sum()
        if method == "none" or min(joined, len(labels) - joined) < _LEAST_JOINED:
            return cls(num_pairs=len(labels))
        told = log_odds(scores)
        knots, meant = _CURVES[method](told, labels)
        curve = cls(method, tuple(knots.tolist()), tuple(meant.tolist()))
        calibrated = curve.apply(scores)
        names, surplus, information = _surpluses(
            calibrated, labels, np.array(challenges)
        )
        delta = surplus / information
        who = np.arange(len(labels)) if users is None else np.array(users)
        _, of_users, _ = _surpluses(calibrated, labels, who)
        return replace(
            curve,
            offsets={
                str(name): (float(d), float(1 / i))
                for name, d, i in zip(names, delta, information, strict=True)
            },
            spreads=_likely_spreads(delta, information),
            common_error=float(np.sqrt(of_users @ of_users) / information.sum()),
            num_pairs=len(labels),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Reads what `to_dict` gives, after a way through JSON."""
        offsets = {name: tuple(pair) for name, pair in values["offsets"].items()}
        lists = {name: tuple(values[name]) for name in ("told", "meant", "spreads")}
        return cls(**{**values, **lists, "offsets": offsets})

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)

    @property
    def spread(self) -> float:
        """Median of the likely `spreads`."""
        return float(np.median(self.spreads))

    def draw_offsets(
        self, challenge: str | None, rng: np.random.Generator, num_draws: int
    ) -> np.ndarray:
        """Draws log-odds by which a challenge attracts more than the curve says.

        Args:
            challenge: its name; None, or one that is not known, for a new one.
            rng: of the draws.
            num_draws: how many.

        Returns:
            float64 (num_draws,).
        """
        variance = np.square(rng.choice(self.spreads, num_draws))
        delta, error = self.offsets.get(challenge or "", (0.0, np.inf))
        # What was seen of it, shrunk towards 0 by how far challenges differ at all.
        share = variance / (variance + error)
        left = variance * (1 - share) + self.common_error**2
        drawn = share * delta + np.sqrt(left) * rng.standard_normal(num_draws)
        return np.asarray(drawn)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Returns calibrated probabilities of the model's, float64 alike."""
        meant = interpolate(log_odds(scores), np.array(self.told), np.array(self.meant))
        return np.asarray(1 / (1 + np.exp(-meant)))


def calibrate(told: tf.Tensor, calibration: Calibration) -> tf.Tensor:
    """The same as `Calibration.apply`, in a graph, float32 (B,)."""
    if calibration.method == "none":
        return told
    knots = tf.constant(calibration.told, tf.float32)
    meant = tf.constant(calibration.meant, tf.float32)
    told = tf.clip_by_value(told, _EPSILON, 1 - _EPSILON)
    x = tf.math.log(told) - tf.math.log1p(-told)
    piece = tf.searchsorted(knots, x, side="right") - 1
    piece = tf.clip_by_value(piece, 0, len(calibration.told) - 2)
    low, high = tf.gather(knots, piece), tf.gather(knots, piece + 1)
    start, end = tf.gather(meant, piece), tf.gather(meant, piece + 1)
    return tf.sigmoid(start + (end - start) * (x - low) / (high - low))


def interpolate(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the curve through the knots at `x`; its ends go on straight."""
    piece = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    share = (x - knots[piece]) / (knots[piece + 1] - knots[piece])
    return np.asarray(values[piece] + share * (values[piece + 1] - values[piece]))


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Returns log(p / (1 − p)), finite."""
    p = np.clip(np.asarray(probability, np.float64), _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(p) - np.log1p(-p))


def _platt(told: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    line = LogisticRegression(C=1e3).fit(told[:, None], labels)
    # Falling, it would turn the ranking around: then nothing but the rate is known.
    slope = max(float(line.coef_[0, 0]), 1e-3)
    knots = np.array(_IDENTITY)
    return knots, slope * knots + line.intercept_[0]


def _temperature(told: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    line = LogisticRegression(C=1e3, fit_intercept=False).fit(told[:, None], labels)
    knots = np.array(_IDENTITY)
    return knots, max(float(line.coef_[0, 0]), 1e-3) * knots


def _isotonic(told: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # A rate of 0 in a few rows is not the certainty that nobody joins.
    least = 1 / (len(labels) + 2)
    steps = IsotonicRegression(y_min=least, y_max=1 - least).fit(told, labels)
    knots, first = np.unique(steps.X_thresholds_, return_index=True)
    meant = log_odds(steps.y_thresholds_[first])
    if len(knots) == 1:
        knots, meant = knots[0] + np.array([0.0, 1.0]), np.repeat(meant, 2)
    return knots, meant


_CURVES = {"platt": _platt, "temperature": _temperature, "isotonic": _isotonic}


def _surpluses(
    probability: np.ndarray, labels: np.ndarray, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what joined beyond what is expected, by name.

    One Newton step on a name's log-odds gives δ = (joined − expected) / I, of variance
    1 / I, with I = Σ p (1 − p).

    Returns:
        The names, sorted; joined − expected; and I.
    """
    found, row = np.unique(names, return_inverse=True)
    surplus = np.bincount(row, labels - probability, len(found))
    information = np.bincount(row, probability * (1 - probability), len(found))
    return found, surplus, information


def _likely_spreads(delta: np.ndarray, information: np.ndarray) -> tuple[float, ...]:
    """Returns standard deviations of the challenges' offsets, each as likely.

    A few challenges leave it open how far they differ, and a single estimate is often
    0. The posterior has δ_c ~ N(0, τ² + 1 / I_c) and a half-normal prior of scale
    `_PRIOR_SPREAD` (Gelman 2006).
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
    """How many of some users join.

    Attributes:
        expected: mean number.
        low: lower end of the interval, a whole number.
        high: its upper end.
        level: the chance that the true number is inside, in (0, 1).
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
    """Returns how many of some users are expected to join a challenge.

    Uncertain are how much the challenge attracts beyond what the model says, and how
    high the calibrated curve lies, both normal on the log-odds; and given that, who of
    them joins, each by their own chance (a Poisson–binomial number, here by its normal
    limit).

    Args:
        probability: calibrated, (num_users,), as the bundle answers.
        calibration: of the bundle.
        challenge: its name; None for one that the bundle was not trained with.
        level: of the interval.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    shifts = calibration.draw_offsets(challenge, rng, _DRAWS)
    # A histogram stands for millions of users: how many there are at which log-odds.
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
