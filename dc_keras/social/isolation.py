"""How far communities keep to themselves: whichtok's question.

Krackhardt and Stern's E-I index (1988) and Newman's assortativity (2003), by weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, to_canonical


@dataclass(frozen=True, eq=False)
class Isolation:
    """How far groups of users keep to themselves, edges counted by weight.

    Attributes:
        mixing: float64 (num_groups, num_groups), CSR, symmetric: weight between groups;
            on the diagonal twice the weight inside, as both ends are in it.
        ei_index: float64 (num_groups,): (external - internal) / (external + internal)
            of the ends of edges that the group has; -1 keeps to itself, 1 has edges to
            others alone, NaN has none.
        expected: float64 (num_groups,): the index where edges fall at random and each
            group keeps its strength, 1 - 2 × its share of all ends. A large group seems
            isolated by its size alone.
        overall: the index of all edges at once; NaN without edges.
        assortativity: in [-1, 1]: 1 where no edge leaves its group, 0 at random; NaN
            where one group has all edges, or there is none.
    """

    mixing: sparse.csr_array
    ei_index: np.ndarray
    expected: np.ndarray
    overall: float
    assortativity: float

    def between(self) -> Layer:
        """Returns the graph of the groups: weight between each two of them."""
        return Layer("between", to_canonical(self.mixing))


def measure_isolation(layer: Layer, groups: np.ndarray) -> Isolation:
    """Returns how far groups keep to themselves.

    Args:
        layer: weighted edges; those with direction count for both ends.
        groups: int64 (num_users,), from 0: a community or any attribute in codes; -1
            where unknown, whose edges are left out.

    Raises:
        DataError: not a group a user.
    """
    num_users = layer.weights.shape[0]
    if groups.shape != (num_users,):
        raise DataError(
            f"groups must have one for each of {num_users} users. "
            f"Received: groups={groups.shape}"
        )
    mixing = _mixing(layer, groups)
    inside, ends = mixing.diagonal(), mixing.sum(axis=1)
    total = float(ends.sum())
    with np.errstate(invalid="ignore"):
        ei_index = (ends - 2 * inside) / ends
        shares = ends / total if total else np.full_like(ends, np.nan)
    kept = float(inside.sum()) / total if total else float("nan")
    return Isolation(
        mixing,
        ei_index,
        1 - 2 * shares,
        1 - 2 * kept,
        _assortativity(kept, float((shares**2).sum())),
    )


def measure_homophily(layer: Layer, values: np.ndarray) -> float:
    """Returns how alike connected users are in a number, such as a year or a score.

    Newman (2003), equation 21, by weight: Pearson's correlation over the ends of edges.

    Args:
        layer: weighted edges; those with direction count for both ends.
        values: float64 (num_users,); NaN where unknown, whose edges are left out.

    Returns:
        In [-1, 1]; NaN where all ends are equal, or there is no edge.
    """
    edges = layer.undirected().weights.tocoo()
    known = np.isfinite(values[edges.row]) & np.isfinite(values[edges.col])
    weights = edges.data[known]
    if not len(weights):
        return float("nan")
    # Each edge is there both ways: the two ends have the same mean and variance.
    first, second = values[edges.row[known]], values[edges.col[known]]
    mean = np.average(first, weights=weights)
    variance = np.average((first - mean) ** 2, weights=weights)
    shared = np.average((first - mean) * (second - mean), weights=weights)
    return float(shared / variance) if variance > 0 else float("nan")


def _mixing(layer: Layer, groups: np.ndarray) -> sparse.csr_array:
    edges = layer.undirected().weights.tocoo()
    first, second = groups[edges.row], groups[edges.col]
    known = (first >= 0) & (second >= 0)
    shape = (int(groups.max(initial=-1)) + 1,) * 2
    mixing = sparse.csr_array(
        (edges.data[known], (first[known], second[known])), shape=shape
    )
    # Sums in another order differ in their last digit.
    mixing = sparse.csr_array((mixing + mixing.T) / 2)
    mixing.sort_indices()
    return mixing


def _assortativity(kept: float, by_chance: float) -> float:
    """Newman's r of the share of edges inside groups, and of what chance would give."""
    return (kept - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
