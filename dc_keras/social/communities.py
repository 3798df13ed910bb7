"""Who forms a community: Leiden's algorithm, and whether its answer is stable.

Traag, Waltman and van Eck, "From Louvain to Leiden" (2019), as igraph has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer
from dc_keras.social.to_igraph import seeded, to_igraph

OBJECTIVES = ("modularity", "CPM")
NUM_ITERATIONS = 2
SMALL = 3


@dataclass(frozen=True, eq=False)
class Communities:
    """A partition of the users; nobody is left out, whoever stands alone is one.

    Attributes:
        membership: int64 (num_users,): the community of each row, from 0, the largest
            first, equal sizes by their first user.
        modularity: of the partition at resolution 1 (Newman 2006), in [-0.5, 1]; 0
            where there is no edge.
    """

    membership: np.ndarray
    modularity: float

    @cached_property
    def sizes(self) -> np.ndarray:
        """Int64 (num_communities,): users of each, falling."""
        return np.bincount(self.membership)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def num_alone(self) -> int:
        """How many users are a community of their own."""
        return int((self.sizes == 1).sum())

    @property
    def num_small(self) -> int:
        """How many communities have more than one user but fewer than `SMALL`."""
        return int(((self.sizes > 1) & (self.sizes < SMALL)).sum())

    def members(self, community: int) -> np.ndarray:
        """Returns the rows of a community, int64, rising."""
        return np.flatnonzero(self.membership == community)


@dataclass(frozen=True)
class Stability:
    """How far partitions under different seeds agree, over users with a edge.

    Attributes:
        num_runs: seeds tried.
        ari: mean adjusted Rand index of all pairs of runs (Hubert and Arabie 1985); 1
            is the same partition, 0 is chance.
        nmi: mean normalised mutual information of all pairs, in [0, 1].
    """

    num_runs: int
    ari: float
    nmi: float


def find_communities(
    layer: Layer,
    *,
    resolution: float = 1.0,
    objective: str = "modularity",
    seed: int = 0,
) -> Communities:
    """Returns the communities of a layer; equal seeds give equal ones.

    Args:
        layer: weighted edges; those with direction count for both ends.
        resolution: above 0; higher gives more and smaller communities.
        objective: "modularity", or "CPM", the constant Potts model, whose resolution is
            a density of weight.
        seed: of igraph's chance.

    Raises:
        DataError: a resolution or an objective that is none.
    """
    _check(resolution, objective)
    return _partition(to_igraph(layer.undirected()), resolution, objective, seed)


def measure_stability(
    layer: Layer,
    *,
    resolution: float = 1.0,
    objective: str = "modularity",
    seed: int = 0,
    num_runs: int = 10,
) -> Stability:
    """Compares partitions under `num_runs` seeds, from `seed` on, pair by pair.

    Users without a edge are the same in all and are left out: they would flatter.

    Raises:
        DataError: fewer than two runs, or as `find_communities`.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    _check(resolution, objective)
    if num_runs < 2:
        raise DataError(
            f"stability must have at least two runs. Received: num_runs={num_runs}"
        )
    connected = layer.undirected()
    graph, has_edges = to_igraph(connected), np.diff(connected.weights.indptr) > 0
    runs = [
        _partition(graph, resolution, objective, seed + run).membership[has_edges]
        for run in range(num_runs)
    ]
    if not has_edges.any():
        return Stability(num_runs, 1.0, 1.0)
    pairs = list(combinations(runs, 2))
    return Stability(
        num_runs,
        float(np.mean([adjusted_rand_score(a, b) for a, b in pairs])),
        float(np.mean([normalized_mutual_info_score(a, b) for a, b in pairs])),
    )


def _check(resolution: float, objective: str) -> None:
    # Beyond, the search for communities takes for ever.
    if not 1e-4 <= resolution <= 1e4:
        raise DataError(
            f"resolution must be from 0.0001 to 10000. Received: {resolution=}"
        )
    if objective not in OBJECTIVES:
        raise DataError(
            f"objective must be one of {', '.join(OBJECTIVES)}. Received: {objective=}"
        )


def _partition(graph: Any, resolution: float, objective: str, seed: int) -> Communities:
    with seeded(seed):
        found = graph.community_leiden(
            objective_function=objective,
            weights="weight",
            resolution=resolution,
            n_iterations=NUM_ITERATIONS,
        )
    membership = _renumbered(np.asarray(found.membership, np.int64))
    if not graph.ecount():
        return Communities(membership, 0.0)
    modularity = graph.modularity(membership.tolist(), weights="weight")
    return Communities(membership, float(modularity))


def _renumbered(membership: np.ndarray) -> np.ndarray:
    """Numbers communities by size, the largest first, then by their first row."""
    _, firsts, inverse, sizes = np.unique(
        membership, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((firsts, -sizes))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse]
