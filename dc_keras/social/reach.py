"""How far a challenge would go from a list of seeds: the independent cascade.

Whoever joins gets one chance to win each connected user (Goldenberg, Libai and Muller
2001). Drawing the winning chances first and walking along them gives the same reach
(Kempe, Kleinberg and Tardos 2003), and a run is a shortest way in a sparse graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from dc_keras.errors import DataError
from dc_keras.social.adoption import Adoption
from dc_keras.social.graph import Layer

# Of the bands: nine of ten runs are inside.
_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True, eq=False)
class Reach:
    """How many users joined in each run of a cascade.

    Attributes:
        curves: int64 (num_runs, num_steps + 1): users who have joined up to each step,
            the seeds at step 0.
        totals: int64 (num_runs,): users who have joined in the end, after all steps.
        chances: float64 (num_users,): share of the runs in which each user joined.
    """

    curves: np.ndarray
    totals: np.ndarray
    chances: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Float64 (num_steps + 1,): users who have joined, mean over runs."""
        return np.asarray(self.curves.mean(axis=0))

    @property
    def band(self) -> np.ndarray:
        """Float64 (2, num_steps + 1): between them lie 90 % of the runs."""
        return np.asarray(np.quantile(self.curves, [_LOW, _HIGH], axis=0))


@dataclass(frozen=True)
class Backtest:
    """The reach of a past challenge, foretold from its first adopters.

    Attributes:
        num_seeds: adopters given.
        actual: adopters that there were in the end, the seeds among them.
        predicted: mean of the runs.
        low: of the band of 90 %.
        high: of the band of 90 %.
    """

    num_seeds: int
    actual: int
    predicted: float
    low: float
    high: float

    @property
    def is_within(self) -> bool:
        """Whether what happened lies in the band."""
        return self.low <= self.actual <= self.high


def edge_chances(
    layer: Layer, rate: float, readiness: np.ndarray | None = None
) -> sparse.csr_array:
    """Returns the chance that a edge wins: 1 - exp(-rate × weight × readiness).

    A edge of twice the weight is two edges: each fails on its own. So is a edge to
    somebody who is twice as ready.

    Args:
        layer: weighted edges. Those with direction lead from who tells to who hears:
            turn the layer around where the one who mentions is the one who hears.
        rate: chances for each unit of weight, above 0.
        readiness: float64 (num_users,), 0 or more: of who hears, beside a mean of 1;
            all alike if None.
    """
    if not (np.isfinite(rate) and rate > 0):
        raise DataError(f"rate must be above 0. Received: {rate=}")
    chances = layer.weights.copy()
    if readiness is not None:
        if not (np.isfinite(readiness) & (readiness >= 0)).all():
            raise DataError(
                "readiness must be 0 or more. Received: "
                f"lowest={readiness.min()}, highest={readiness.max()}"
            )
        chances.data *= readiness[chances.indices]
    chances.data = -np.expm1(-rate * chances.data)
    return chances


def simulate_reach(
    chances: sparse.csr_array,
    acceptance: np.ndarray,
    seeds: np.ndarray,
    *,
    seed_chances: np.ndarray | None = None,
    num_runs: int = 200,
    num_steps: int = 20,
    seed: int = 0,
) -> Reach:
    """Runs independent cascades from a list of seeds.

    Args:
        chances: (num_users, num_users), CSR in canonical form, in [0, 1]: that row's
            joining is passed on to column.
        acceptance: float64 (num_users,), in [0, 1]: that a user joins once it is, such
            as the model's probability for the challenge.
        seeds: rows of those who are asked to begin; may be empty.
        seed_chances: float64 (num_users,), in [0, 1]: that a seed joins when asked, of
            seeds alone; who does not may still be won along a edge. All seeds join if
            None.
        num_runs: above 0.
        num_steps: waves after the seeds that are counted, 0 or more; `chances` of the
            result count later ones too.
        seed: of the runs; their draws do not hang on the order of the seeds.

    Raises:
        DataError: chances out of [0, 1], or seeds that are no users.
    """
    _check(chances, acceptance, seeds, num_runs, num_steps)
    if seed_chances is not None:
        _check(chances, seed_chances, seeds, num_runs, num_steps)
    generator = np.random.default_rng(seed)
    num_users = chances.shape[0]
    # A passed-on chance is taken or not by each edge on its own.
    wins = chances.data * acceptance[chances.indices]
    curves = np.zeros((num_runs, num_steps + 1), np.int64)
    totals = np.zeros(num_runs, np.int64)
    joined = np.zeros(num_users)
    asked = np.unique(seeds).astype(np.int64)
    for run in range(num_runs):
        begins = asked
        if seed_chances is not None:
            begins = asked[generator.random(len(asked)) < seed_chances[asked]]
        if not len(begins):
            continue
        steps = _steps(chances, generator.random(len(wins)) < wins, begins)
        has_joined = np.isfinite(steps)
        joined += has_joined
        totals[run] = has_joined.sum()
        in_sight = steps[has_joined & (steps <= num_steps)].astype(np.int64)
        curves[run] = np.cumsum(np.bincount(in_sight, minlength=num_steps + 1))
    return Reach(curves, totals, joined / num_runs)


def backtest_reach(
    chances: sparse.csr_array,
    acceptance: np.ndarray,
    adoption: Adoption,
    num_seeds: int,
    *,
    num_runs: int = 200,
    seed: int = 0,
) -> Backtest:
    """Foretells a past challenge from its first adopters, all waves counted.

    Honest only if chances and acceptance know nothing of the challenge's later posts.

    Raises:
        DataError: fewer adopters than seeds, or as `simulate_reach`.
    """
    if not 0 < num_seeds <= len(adoption.rows):
        raise DataError(
            "seeds must be some of the adopters. Received: "
            f"num_seeds={num_seeds}, adopters={len(adoption.rows)}"
        )
    begins = adoption.in_order()[:num_seeds]
    totals = simulate_reach(
        chances, acceptance, begins, num_runs=num_runs, num_steps=0, seed=seed
    ).totals
    low, high = np.quantile(totals, [_LOW, _HIGH])
    return Backtest(
        num_seeds, len(adoption.rows), float(totals.mean()), float(low), float(high)
    )


def _steps(
    chances: sparse.csr_array, is_live: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """Returns float64 (num_users,): the wave in which each joins, or infinity."""
    indptr = np.concatenate([[0], np.cumsum(is_live)])[chances.indptr]
    live = sparse.csr_array(
        (np.ones(int(indptr[-1])), chances.indices[is_live], indptr),
        shape=chances.shape,
    )
    steps: np.ndarray = dijkstra(live, indices=begins, unweighted=True, min_only=True)
    return steps


def _check(
    chances: sparse.csr_array,
    acceptance: np.ndarray,
    seeds: np.ndarray,
    num_runs: int,
    num_steps: int,
) -> None:
    num_users = chances.shape[0]
    if acceptance.shape != (num_users,) or num_runs < 1 or num_steps < 0:
        raise DataError(
            "a cascade must have an acceptance a user, a run and no step below 0. "
            f"Received: users={num_users}, acceptance={acceptance.shape}, "
            f"num_runs={num_runs}, num_steps={num_steps}"
        )
    for name, values in (("chances", chances.data), ("acceptance", acceptance)):
        # Written so that NaN is refused.
        if not ((values >= 0) & (values <= 1)).all():
            raise DataError(
                f"{name} must lie in [0, 1]. Received: lowest={values.min()}, "
                f"highest={values.max()}"
            )
    if len(seeds) and not (np.min(seeds) >= 0 and np.max(seeds) < num_users):
        raise DataError(
            f"seeds must be rows of {num_users} users. Received: seeds={seeds}"
        )
