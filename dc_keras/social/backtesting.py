"""Are past challenges foretold by the cascade, and better than without any graph?

Each past challenge is foretold from its first adopters, with what was fitted on all
others: on no post of its own. Beside the cascade stand two ways that know no edge: the
mean reach of the others, and the reach that goes with how fast the first adopters came
(log-linear, after Szabo and Huberman 2010).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer
from dc_keras.social.reach import backtest_reach, edge_chances, simulate_reach
from dc_keras.social.snapshots import PastChallenge

METHODS = ("cascade", "mean", "speed")
# Users whom somebody of mean strength wins at first; beyond the last nearly everybody
# who can be reached is.
CONTAGIONS = np.geomspace(0.05, 6.4, 15)
_BAND = (0.05, 0.95)
_LEAST_DAYS = 1 / 24
_NUM_RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Backtests:
    """Past challenges, each foretold with what the others taught.

    Attributes:
        table: a row a challenge: `challenge`, `num_seeds`, `seeds_days` (from the first
            seed's post to the last), `actual` (adopters in the end, the seeds among
            them), `contagion` (fitted on the others), `edges`; and for each of
            `METHODS` `_predicted`, and `_low` and `_high` of its band of 90 %.
        contagion: fitted on all of them: for a challenge to come.
        seed: of runs and resamples.
    """

    table: pl.DataFrame
    contagion: float
    seed: int

    def errors(self, method: str) -> np.ndarray:
        """Returns |log(predicted / actual)|, float64 (num_challenges,)."""
        predicted = self.table[f"{method}_predicted"].to_numpy()
        return np.asarray(np.abs(np.log(predicted / self.table["actual"].to_numpy())))

    def summary(self) -> pl.DataFrame:
        """Returns a row a method, with intervals of 95 % over challenges.

        Columns: `method`; `challenges`; `log_error`, the mean of |log(predicted /
        actual)|, with `log_error_low` and `_high`; `users_error`, the mean of
        |predicted − actual|; `within`, challenges inside the band of 90 %; and
        `above_mean`, `_low`, `_high`: how far the log error lies above that of the mean
        reach, challenge by challenge (below 0: better).
        """
        draws = np.random.default_rng(self.seed).integers(
            0, self.table.height, (_NUM_RESAMPLES, self.table.height)
        )
        return pl.DataFrame([self._row(method, draws) for method in METHODS])

    def _row(self, method: str, draws: np.ndarray) -> dict[str, float | int | str]:
        table, errors = self.table, self.errors(method)
        above = errors - self.errors("mean")
        actual = pl.col("actual")
        off = (table[f"{method}_predicted"] - table["actual"]).abs()
        inside = table.filter(
            actual.is_between(pl.col(f"{method}_low"), pl.col(f"{method}_high"))
        )
        row: dict[str, float | int | str] = {
            "method": method,
            "challenges": table.height,
            "users_error": float(off.to_numpy().mean()),
            "within": inside.height,
        }
        for name, values in (("log_error", errors), ("above_mean", above)):
            low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
            row |= {
                name: float(values.mean()),
                f"{name}_low": float(low),
                f"{name}_high": float(high),
            }
        return row


def contagion_rate(layer: Layer, contagion: float) -> float:
    """Returns the rate of `edge_chances` at which a user of mean strength wins so many.

    Strength is the weight of a user's edges, its mean that of all users with a edge, so
    that one number serves graphs of different density.

    Args:
        layer: edges without direction.
        contagion: users whom somebody wins, where chances are small, above 0.

    Raises:
        DataError: the layer has no edge.
    """
    strength = layer.weights.sum(axis=1)
    connected = strength[strength > 0]
    if not len(connected):
        raise DataError(
            f"a cascade must have a edge to run along. Received: layer={layer.name}"
        )
    return contagion / float(connected.mean())


def backtest(
    past: Sequence[PastChallenge],
    *,
    num_runs: int = 200,
    num_fit_runs: int = 40,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Backtests:
    """Foretells each challenge with what all others teach.

    Whoever hears is as ready as any other: the graph alone is judged.

    Args:
        past: two at least; each with a edge.
        num_runs: cascades of each forecast.
        num_fit_runs: cascades of each challenge for each of `CONTAGIONS`.
        seed: of all runs.
        progress: is told what is under way.

    Raises:
        DataError: fewer than two challenges, or one without any edge.
    """
    if len(past) < 2:
        raise DataError(
            "a backtest must have two past challenges, to learn from one what is "
            f"foretold of the other. Received: challenges={len(past)}"
        )
    reach = np.empty((len(past), len(CONTAGIONS)))
    for number, challenge in enumerate(past):
        progress(f"{number + 1} of {len(past)}: cascades of {challenge.name}")
        reach[number] = _mean_reaches(challenge, num_fit_runs, seed)
    actual = np.array([challenge.num_adopters for challenge in past], float)
    losses = np.log(reach / actual[:, None]) ** 2
    rows = [
        _foretell(past, number, _fitted(np.delete(losses, number, 0)), num_runs, seed)
        for number in range(len(past))
    ]
    return Backtests(pl.DataFrame(rows), _fitted(losses), seed)


def _mean_reaches(past: PastChallenge, num_runs: int, seed: int) -> np.ndarray:
    """Returns the mean reach for each of `CONTAGIONS`."""
    seeds = past.adoption.in_order()[: past.num_seeds]
    alike = np.ones(past.layer.weights.shape[0])
    return np.array(
        [
            simulate_reach(
                edge_chances(past.layer, contagion_rate(past.layer, contagion)),
                alike,
                seeds,
                num_runs=num_runs,
                num_steps=0,
                seed=seed,
            ).totals.mean()
            for contagion in CONTAGIONS
        ]
    )


def _fitted(losses: np.ndarray) -> float:
    """Returns the contagion of least mean loss; of equal ones the lowest."""
    return float(CONTAGIONS[int(losses.mean(axis=0).argmin())])


def _foretell(
    past: Sequence[PastChallenge],
    number: int,
    contagion: float,
    num_runs: int,
    seed: int,
) -> dict[str, float | int | str]:
    challenge = past[number]
    others = [other for other in past if other is not challenge]
    run = backtest_reach(
        edge_chances(challenge.layer, contagion_rate(challenge.layer, contagion)),
        np.ones(challenge.layer.weights.shape[0]),
        challenge.adoption,
        challenge.num_seeds,
        num_runs=num_runs,
        seed=seed,
    )
    row: dict[str, float | int | str] = {
        "challenge": challenge.name,
        "num_seeds": challenge.num_seeds,
        "seeds_days": challenge.seeds_days,
        "ties": challenge.layer.num_edges,
        "actual": run.actual,
        "contagion": contagion,
    }
    answers = (
        (run.predicted, run.low, run.high),
        _from_mean(others),
        _from_speed(challenge, others),
    )
    for method, (predicted, low, high) in zip(METHODS, answers, strict=True):
        row[f"{method}_predicted"] = predicted
        row |= {f"{method}_low": low, f"{method}_high": high}
    return row


def _from_mean(others: Sequence[PastChallenge]) -> tuple[float, float, float]:
    """Returns the geometric mean of the others' reach, and where 90 % of them lie."""
    reached = np.log([other.num_adopters for other in others])
    low, high = np.quantile(reached, _BAND)
    return float(np.exp(reached.mean())), float(np.exp(low)), float(np.exp(high))


def _from_speed(
    challenge: PastChallenge, others: Sequence[PastChallenge]
) -> tuple[float, float, float]:
    """Returns the reach that goes with how fast the seeds came (least squares)."""
    design = np.stack([_speed(other) for other in others])
    reached = np.log([other.num_adopters for other in others])
    weights, *_ = np.linalg.lstsq(design, reached)
    predicted = float(_speed(challenge) @ weights)
    low, high = predicted + np.quantile(reached - design @ weights, _BAND)
    # There are the seeds already.
    told = np.maximum(np.exp([predicted, low, high]), challenge.num_seeds)
    return float(told[0]), float(told[1]), float(told[2])


def _speed(challenge: PastChallenge) -> np.ndarray:
    return np.array([1.0, np.log(max(challenge.seeds_days, _LEAST_DAYS))])
