"""Leiden against networkx's Louvain, planted communities, and 100,000 users.

    python -m benchmarks.communities

Needs the extra `social`. The two run turn by turn on the same graph; seconds are the
best of the turns. Planted communities and cascades are those of the simulated world.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import networkx as nx
import numpy as np
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from dc_keras.corpus.world_truth import Truth, WorldConfig, draw_truth
from dc_keras.social.adoption import Adoption, measure_along_ties
from dc_keras.social.communities import find_communities
from dc_keras.social.graph import Layer, canonical
from dc_keras.social.naming import portray

_TURNS = 3
_WORLD_SEEDS = 5
_Result = TypeVar("_Result")


def main() -> None:
    """Prints every figure, a line each."""
    compare_with_louvain()
    find_planted()
    name_many()


def compare_with_louvain(num_users: int = 5_000) -> None:
    """Leiden, conversion to igraph included, and Louvain on one planted graph."""
    layer, _ = planted(num_users, num_groups=25, num_within=16.0, num_between=4.0)
    graph = nx.from_scipy_sparse_array(layer.weights)
    leiden_s, louvain_s = [], []
    for turn in range(_TURNS):
        found, seconds = _timed(lambda seed=turn: find_communities(layer, seed=seed))
        leiden_s.append(seconds)
        parts, seconds = _timed(
            lambda seed=turn: nx.community.louvain_communities(graph, seed=seed)
        )
        louvain_s.append(seconds)
        print(
            f"turn {turn}: modularity of Leiden {found.modularity:.4f}, "
            f"of Louvain {nx.community.modularity(graph, parts):.4f}"
        )
    print(
        f"{num_users:,} users, {layer.num_ties:,} ties: Leiden {min(leiden_s):.3f} s, "
        f"Louvain {min(louvain_s):.3f} s, ratio {min(louvain_s) / min(leiden_s):.1f}"
    )


def find_planted(num_users: int = 600) -> None:
    """The simulated world's friends: its communities, and its cascades along ties."""
    for seed in range(_WORLD_SEEDS):
        truth = draw_truth(
            WorldConfig(num_users=num_users), np.random.default_rng(seed)
        )
        friends = Layer("friends", canonical(sparse.csr_array(truth.friends)))
        found = find_communities(friends)
        p_values = _p_values(friends, truth)
        print(
            f"world {seed}, {num_users} users: ARI "
            f"{adjusted_rand_score(truth.communities, found.membership):.3f}, "
            f"{len(found)} communities; cascades along friends: p of at most 0.05 in "
            f"{sum(p <= 0.05 for p in p_values)} of {len(p_values)} challenges"
        )


def name_many(num_users: int = 100_000) -> None:
    """Leiden and names for many users with 30 things each."""
    layer, groups = planted(num_users, num_groups=100, num_within=16.0, num_between=4.0)
    generator = np.random.default_rng(0)
    # Half of what a user has is everybody's, half their group's.
    own = groups[:, None] * 50 + generator.integers(0, 50, (num_users, 15))
    common = 5_000 + np.minimum(generator.zipf(1.3, (num_users, 15)), 20_000) - 1
    things = np.concatenate([own, common], axis=1)
    rows = np.repeat(np.arange(num_users), 30)
    incidence = sparse.csr_array(
        (np.ones(things.size), (rows, things.ravel())), shape=(num_users, 25_000)
    )
    names = [f"#{thing}" for thing in range(25_000)]
    found, leiden_s = _timed(lambda: find_communities(layer))
    portraits, naming_s = _timed(
        lambda: portray(layer, found.membership, incidence, names)
    )
    named = sum(bool(portrait.traits) for portrait in portraits)
    print(
        f"{num_users:,} users, {layer.num_ties:,} ties: Leiden {leiden_s:.1f} s, "
        f"ARI {adjusted_rand_score(groups, found.membership):.3f}, names "
        f"{naming_s:.1f} s, {named} of {len(found)} communities named"
    )


def planted(
    num_users: int, num_groups: int, num_within: float, num_between: float
) -> tuple[Layer, np.ndarray]:
    """Returns ties of weight 1 or more, so many a user, and the groups."""
    generator = np.random.default_rng(0)
    groups = np.sort(generator.integers(0, num_groups, num_users))
    starts = np.searchsorted(groups, np.arange(num_groups + 1))
    first = generator.integers(0, num_users, int(num_users * num_within / 2))
    low, high = starts[groups[first]], starts[groups[first] + 1]
    second = generator.integers(low, high)
    others = generator.integers(0, num_users, (2, int(num_users * num_between / 2)))
    rows = np.concatenate([first, others[0]])
    columns = np.concatenate([second, others[1]])
    ties = sparse.csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(num_users, num_users)
    )
    return Layer("planted", canonical(ties + ties.T)), groups


def _p_values(friends: Layer, truth: Truth) -> list[float]:
    found = []
    for joined, days in zip(truth.joined.T, truth.join_days.T, strict=True):
        rows = np.flatnonzero(joined)
        if len(rows):
            times = (days[rows] * 86_400).astype(np.int64)
            found.append(measure_along_ties(friends, Adoption(rows, times)).p_value)
    return found


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


if __name__ == "__main__":
    main()
