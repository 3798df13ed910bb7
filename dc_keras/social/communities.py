"""Finds communities with the Leiden algorithm, and measures their stability.

Traag, Waltman and van Eck, "From Louvain to Leiden" (2019), as implemented in igraph.
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

NUM_ITERATIONS = 2


@dataclass(frozen=True, eq=False)
class Communities:
    """A partition of all users; a user without edges is a community of one.

    Attributes:
        membership: community of each user, int64 (num_users,), numbered from 0 by
            descending size, then by their first user.
        modularity: modularity of the partition at resolution 1 (Newman 2006), in [-0.5,
            1]; 0 without edges.
    """

    membership: np.ndarray
    modularity: float

    @cached_property
    def sizes(self) -> np.ndarray:
        """The sizes of the communities, descending, int64 (num_communities,)."""
        return np.bincount(self.membership)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def num_alone(self) -> int:
        """The number of communities of one user."""
        return int((self.sizes == 1).sum())


@dataclass(frozen=True)
class Stability:
    """The agreement of partitions under different seeds, over users with edges.

    Attributes:
        num_runs: number of seeds.
        ari: mean adjusted Rand index over all pairs of runs (Hubert and Arabie 1985); 1
            for equal partitions, 0 expected by chance.
        nmi: mean normalised mutual information over all pairs of runs, in [0, 1].
    """

    num_runs: int
    ari: float
    nmi: float


def find_communities(
    layer: Layer,
    *,
    resolution: float = 1.0,
    seed: int = 0,
) -> Communities:
    """Returns the communities of a layer; the result is reproducible for a seed.

    Args:
        layer: weighted edges; a directed edge counts in both directions.
        resolution: above 0; higher values give more and smaller communities.
        seed: seed of igraph's random numbers.

    Raises:
        DataError: the resolution is out of range.
    """
    _check(resolution)
    return _partition(to_igraph(layer.undirected()), resolution, seed)


def measure_stability(
    layer: Layer,
    *,
    resolution: float = 1.0,
    seed: int = 0,
    num_runs: int = 10,
) -> Stability:
    """Compares partitions of `num_runs` seeds, beginning with `seed`, pairwise.

    Users without edges are excluded, because they are equal in all partitions and would
    increase the agreement.

    Raises:
        DataError: the resolution is out of range.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    _check(resolution)
    connected = layer.undirected()
    graph, has_edges = to_igraph(connected), np.diff(connected.weights.indptr) > 0
    runs = [
        _partition(graph, resolution, seed + run).membership[has_edges]
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


def _check(resolution: float) -> None:
    # Outside of this range, the algorithm may not terminate.
    if not 1e-4 <= resolution <= 1e4:
        raise DataError(
            f"resolution must be from 0.0001 to 10000. Received: {resolution=}"
        )


def _partition(graph: Any, resolution: float, seed: int) -> Communities:
    with seeded(seed):
        clustering = graph.community_leiden(
            objective_function="modularity",
            weights="weight",
            resolution=resolution,
            n_iterations=NUM_ITERATIONS,
        )
    membership = _renumber(np.asarray(clustering.membership, np.int64))
    if not graph.ecount():
        return Communities(membership, 0.0)
    modularity = graph.modularity(membership.tolist(), weights="weight")
    return Communities(membership, float(modularity))


def _renumber(membership: np.ndarray) -> np.ndarray:
    """Renumbers communities by descending size, then by their first row."""
    _, firsts, inverse, sizes = np.unique(
        membership, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((firsts, -sizes))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse]
