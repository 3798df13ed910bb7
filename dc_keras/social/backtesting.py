"""Backtests of the cascade on past challenges, against forecasts without a graph.

Each past challenge is forecast from its first adopters, with parameters fitted on all
other challenges and on none of its own posts. The cascade is compared with two
baselines that do not use edges: the mean reach of the other challenges, and a
log-linear regression of the reach on the speed of the first adopters (after Szabo and
Huberman 2010).

A forecast may use posts before the last seed's post, but no post of the challenge
itself: hashtags and sounds of the challenge would connect its adopters and reveal them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.social.adoption import DAY_S, Adoption
from dc_keras.social.building import GraphPlan, build_graph
from dc_keras.social.graph import Layer
from dc_keras.social.reach import BAND, edge_chances, simulate_reach
from dc_keras.study.resolution import find_joins
from dc_keras.study.study import Study

METHODS = ("cascade", "mean", "speed")
# Candidates for the contagion: the expected number of users that an adopter of mean
# strength activates. At the largest value nearly all reachable users adopt.
CONTAGIONS = np.geomspace(0.05, 6.4, 15)
_LEAST_DAYS = 1 / 24
_NUM_RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class PastChallenge:
    """A past challenge, with the edges at its beginning.

    Attributes:
        name: name of the challenge.
        layer: undirected edges from posts before the last seed's post, without posts of
            the challenge (`build_layer_before`).
        adoption: the adopters within the horizon.
        num_seeds: number of first adopters that are given as seeds.
    """

    name: str
    layer: Layer
    adoption: Adoption
    num_seeds: int

    @property
    def num_adopters(self) -> int:
        """The number of adopters, including the seeds; the target of the forecast."""
        return len(self.adoption.rows)

    @property
    def seeds_days(self) -> float:
        """The days from the first to the last seed's post, 0 or more."""
        return float(_time_of(self.adoption, self.num_seeds) - self.start) / DAY_S

    @property
    def start(self) -> int:
        """The time of the first post of the challenge, UTC seconds."""
        return int(self.adoption.times.min())


def cut_adoption(
    adoption: Adoption, num_seeds: int, days: float | None, last_post: int
) -> Adoption | str:
    """Returns the adopters within a horizon, or why there is no forecast.

    Args:
        adoption: adoption of a challenge.
        num_seeds: number of first adopters that are given as seeds, above 0.
        days: days after the last seed's post within which adopters count, above 0; None
            for no limit.
        last_post: time of the corpus's last post, UTC seconds.
    """
    if len(adoption.rows) < num_seeds:
        return f"fewer than {num_seeds} adopters"
    if days is None:
        return adoption
    end = _time_of(adoption, num_seeds) + days * DAY_S
    if end > last_post:
        return "the corpus ends within the horizon"
    return adoption.until(end)


def build_past_challenge(
    corpus: Corpus,
    study: Study,
    plan: GraphPlan,
    name: str,
    adoption: Adoption,
    num_seeds: int,
) -> PastChallenge:
    """Returns a challenge with the edges before its last seed's post."""
    time = _time_of(adoption, num_seeds)
    layer = build_layer_before(corpus, study, plan, name, time)
    return PastChallenge(name, layer, adoption, num_seeds)


def build_layer_before(
    corpus: Corpus, study: Study, plan: GraphPlan, name: str, time: int
) -> Layer:
    """Returns the edges from posts before a time, without the posts of a challenge.

    Follows and suggestions without a time are excluded, because they may be later.

    Args:
        corpus: the corpus.
        study: the Study with the challenge; "co-challenge" uses the other challenges.
        plan: plan of the graph, whose layers are summed.
        name: name of the challenge.
        time: end of the period, UTC seconds.
    """
    [column] = [c for c, known in enumerate(study.challenges) if known.name == name]
    joins = find_joins(study, corpus.videos).filter(pl.col("challenge") == column)
    others = [challenge for challenge in study.challenges if challenge.name != name]
    end = time if plan.end is None else min(plan.end, time)
    before = corpus.without_videos(joins["video_id"])
    of_before = replace(plan, end=end)
    return build_graph(before, of_before, others).combined()


def _time_of(adoption: Adoption, number: int) -> int:
    """Returns the time of the n-th adopter, with n from 1."""
    times = adoption.times.copy()
    times.sort()
    return int(times[number - 1])


@dataclass(frozen=True, eq=False)
class Backtests:
    """Leave-one-out forecasts of past challenges.

    Attributes:
        table: one row per challenge: `challenge`, `num_seeds`, `seeds_days` (days from
            the first to the last seed's post), `actual` (number of adopters, including
            the seeds), `contagion` (fitted on the others), `ties` (number of edges),
            and for each of `METHODS` `_predicted`, `_low` and `_high`, the forecast and
            its 90 % interval.
        contagion: contagion fitted on all challenges, for future challenges.
        seed: seed of runs and resamples.
    """

    table: pl.DataFrame
    contagion: float
    seed: int

    def errors(self, method: str) -> np.ndarray:
        """Returns |log(predicted / actual)|, float64 (num_challenges,)."""
        predicted = self.table[f"{method}_predicted"].to_numpy()
        return np.asarray(np.abs(np.log(predicted / self.table["actual"].to_numpy())))

    @property
    def best(self) -> str:
        """The method with the smallest mean error, the first of `METHODS` if equal."""
        return min(METHODS, key=self.mean_error)

    def mean_error(self, method: str) -> float:
        """Returns the mean of `errors`."""
        return float(self.errors(method).mean())

    def mean_forecast(self) -> tuple[float, float, float]:
        """Returns the forecast of a future challenge by the mean, and its interval."""
        return _mean_reach(self.table["actual"].to_numpy())

    def summary(self) -> pl.DataFrame:
        """Returns one row per method, with 95 % bootstrap intervals over challenges.

        Columns: `method`; `challenges`; `log_error`, the mean of |log(predicted /
        actual)|, with `log_error_low` and `_high`; `users_error`, the mean of
        |predicted − actual|; `within`, the number of challenges inside the 90 %
        interval; and `above_mean`, `_low`, `_high`, the mean paired difference of the
        log error to that of the mean reach (negative is better).
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
    """Returns the rate of `edge_chances` for a contagion.

    The rate is the contagion over the mean strength of users with edges. Strength is
    the sum of the weights of a user's edges, so a contagion applies to graphs of
    different density.

    Args:
        layer: an undirected layer.
        contagion: expected number of users that an adopter of mean strength activates
            if the chances are small, above 0.

    Raises:
        DataError: the layer has no edge.
    """
    strength = layer.weights.sum(axis=1)
    connected = strength[strength > 0]
    if not len(connected):
        raise DataError(f"a cascade needs an edge. Received: layer={layer.name}")
    return contagion / float(connected.mean())


def backtest(
    past: Sequence[PastChallenge],
    *,
    num_runs: int = 200,
    num_fit_runs: int = 40,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Backtests:
    """Forecasts each past challenge with parameters fitted on all others.

    All users have the same readiness, so the backtest evaluates only the graph.

    Args:
        past: at least two past challenges, each with an edge.
        num_runs: number of cascades per forecast.
        num_fit_runs: number of cascades per challenge and value of `CONTAGIONS`.
        seed: seed of all runs.
        progress: called with a message before each challenge.

    Raises:
        DataError: there are fewer than two challenges, or one has no edge.
    """
    if len(past) < 2:
        raise DataError(
            "a backtest needs at least two past challenges. "
            f"Received: challenges={len(past)}"
        )
    reach = np.empty((len(past), len(CONTAGIONS)))
    for number, challenge in enumerate(past):
        progress(f"{number + 1} of {len(past)}: cascades of {challenge.name}")
        reach[number] = [
            _totals(challenge, contagion, num_fit_runs, seed).mean()
            for contagion in CONTAGIONS
        ]
    actual = np.array([challenge.num_adopters for challenge in past], float)
    losses = np.log(reach / actual[:, None]) ** 2
    rows = [
        _forecast(
            past, number, _fit_contagion(np.delete(losses, number, 0)), num_runs, seed
        )
        for number in range(len(past))
    ]
    return Backtests(pl.DataFrame(rows), _fit_contagion(losses), seed)


def _totals(
    past: PastChallenge, contagion: float, num_runs: int, seed: int
) -> np.ndarray:
    """Returns the final number of adopters in each run, int64 (num_runs,)."""
    return simulate_reach(
        edge_chances(past.layer, contagion_rate(past.layer, contagion)),
        past.adoption.in_order()[: past.num_seeds],
        num_runs=num_runs,
        num_steps=0,
        seed=seed,
    ).totals


def _fit_contagion(losses: np.ndarray) -> float:
    """Returns the smallest contagion with the least mean loss."""
    return float(CONTAGIONS[int(losses.mean(axis=0).argmin())])


def _forecast(
    past: Sequence[PastChallenge],
    number: int,
    contagion: float,
    num_runs: int,
    seed: int,
) -> dict[str, float | int | str]:
    challenge = past[number]
    others = [other for other in past if other is not challenge]
    totals = _totals(challenge, contagion, num_runs, seed)
    low, high = np.quantile(totals, BAND)
    row: dict[str, float | int | str] = {
        "challenge": challenge.name,
        "num_seeds": challenge.num_seeds,
        "seeds_days": challenge.seeds_days,
        "ties": challenge.layer.num_edges,
        "actual": challenge.num_adopters,
        "contagion": contagion,
    }
    forecasts = (
        (float(totals.mean()), float(low), float(high)),
        _mean_reach(np.array([other.num_adopters for other in others])),
        _forecast_from_speed(challenge, others),
    )
    for method, (predicted, low, high) in zip(METHODS, forecasts, strict=True):
        row[f"{method}_predicted"] = predicted
        row |= {f"{method}_low": low, f"{method}_high": high}
    return row


def _mean_reach(actual: np.ndarray) -> tuple[float, float, float]:
    """Returns the geometric mean of numbers of adopters and its 90 % interval."""
    reached = np.log(actual)
    low, high = np.quantile(reached, BAND)
    return float(np.exp(reached.mean())), float(np.exp(low)), float(np.exp(high))


def _forecast_from_speed(
    challenge: PastChallenge, others: Sequence[PastChallenge]
) -> tuple[float, float, float]:
    """Returns the forecast of a least-squares regression on the speed of the seeds."""
    design = np.stack([_speed(other) for other in others])
    reached = np.log([other.num_adopters for other in others])
    weights, *_ = np.linalg.lstsq(design, reached)
    predicted = float(_speed(challenge) @ weights)
    low, high = predicted + np.quantile(reached - design @ weights, BAND)
    # The seeds have adopted already.
    reach = np.maximum(np.exp([predicted, low, high]), challenge.num_seeds)
    return float(reach[0]), float(reach[1]), float(reach[2])


def _speed(challenge: PastChallenge) -> np.ndarray:
    return np.array([1.0, np.log(max(challenge.seeds_days, _LEAST_DAYS))])
