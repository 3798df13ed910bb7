"""Simulates the reach of a challenge from seeds with the independent cascade model.

Each adopter has one chance to activate each neighbour (Goldenberg, Libai and Muller
2001). Drawing the live edges first and following them gives the same distribution
(Kempe, Kleinberg and Tardos 2003), so a run is a shortest-path search in a sparse
graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

from dc_keras.social.graph import Layer

# Quantiles of the 90 % intervals.
BAND = (0.05, 0.95)


@dataclass(frozen=True, eq=False)
class Reach:
    """The number of adopters in each run of a cascade.

    Attributes:
        curves: cumulative number of adopters after each step, with the seeds at step 0,
            int64 (num_runs, num_steps + 1).
        totals: number of adopters after all steps, int64 (num_runs,).
        chances: share of runs in which each user adopted, float64 (num_users,).
    """

    curves: np.ndarray
    totals: np.ndarray
    chances: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean number of adopters after each step, float64 (num_steps + 1,)."""
        return np.asarray(self.curves.mean(axis=0))

    @property
    def band(self) -> np.ndarray:
        """The 90 % interval of the number of adopters, float64 (2, num_steps + 1)."""
        return np.asarray(np.quantile(self.curves, BAND, axis=0))


def edge_chances(
    layer: Layer, rate: float, readiness: np.ndarray | None = None
) -> sparse.csr_array:
    """Returns the activation chance of each edge: 1 - exp(-rate × weight × readiness).

    An edge of weight 2 is equivalent to two independent edges of weight 1, and likewise
    for readiness.

    Args:
        layer: weighted edges. A directed edge leads from the influencing user to the
            influenced one; reverse the layer if, for example, users are influenced by
            those whom they mention.
        rate: chances per unit of weight, above 0.
        readiness: readiness of each influenced user relative to a mean of 1, 0 or more,
            float64 (num_users,); None for equal readiness.
    """
    chances = layer.weights.copy()
    if readiness is not None:
        chances.data *= readiness[chances.indices]
    chances.data = -np.expm1(-rate * chances.data)
    return chances


def simulate_reach(
    chances: sparse.csr_array,
    seeds: np.ndarray,
    *,
    seed_chances: np.ndarray | None = None,
    num_runs: int = 200,
    num_steps: int = 20,
    seed: int = 0,
) -> Reach:
    """Runs independent cascades from seeds.

    Args:
        chances: chance that an adoption is passed on from row to column, in [0, 1],
            (num_users, num_users), CSR in canonical form.
        seeds: rows of the seeds; may be empty.
        seed_chances: chance that a seed adopts, in [0, 1], float64 (num_users,); only
            the values of seeds are used. A seed that does not adopt may still be
            activated along an edge. None if all seeds adopt.
        num_runs: number of runs, above 0.
        num_steps: number of steps after the seeds in `curves`, 0 or more; `totals` and
            `chances` of the result include later steps.
        seed: seed of the runs; the result does not depend on the order of the seeds.
    """
    generator = np.random.default_rng(seed)
    num_users = chances.shape[0]
    curves = np.zeros((num_runs, num_steps + 1), np.int64)
    totals = np.zeros(num_runs, np.int64)
    joined = np.zeros(num_users)
    candidates = np.unique(seeds).astype(np.int64)
    for run in range(num_runs):
        starts = candidates
        if seed_chances is not None:
            drawn = generator.random(len(candidates))
            starts = candidates[drawn < seed_chances[candidates]]
        if not len(starts):
            continue
        steps = _steps(chances, generator.random(chances.nnz) < chances.data, starts)
        has_joined = np.isfinite(steps)
        joined += has_joined
        totals[run] = has_joined.sum()
        shown = steps[has_joined & (steps <= num_steps)].astype(np.int64)
        curves[run] = np.cumsum(np.bincount(shown, minlength=num_steps + 1))
    return Reach(curves, totals, joined / num_runs)


def _steps(
    chances: sparse.csr_array, is_live: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Returns the step in which each user adopts, or infinity, float64 (num_users,)."""
    indptr = np.concatenate([[0], np.cumsum(is_live)])[chances.indptr]
    live = sparse.csr_array(
        (np.ones(int(indptr[-1])), chances.indices[is_live], indptr),
        shape=chances.shape,
    )
    steps: np.ndarray = dijkstra(live, indices=starts, unweighted=True, min_only=True)
    return steps
