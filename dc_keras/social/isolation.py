"""Measures the isolation of communities.

The E-I index of Krackhardt and Stern (1988) and the assortativity of Newman (2003),
with weighted edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from dc_keras.social.graph import Layer, to_canonical


@dataclass(frozen=True, eq=False)
class Isolation:
    """The isolation of groups of users, with weighted edges.

    Attributes:
        mixing: weight between groups, float64 (num_groups, num_groups), CSR, symmetric;
            the diagonal has twice the weight inside a group, because both ends are in
            it.
        ei_index: (external - internal) / (external + internal) weight of the ends of
            edges in each group, float64 (num_groups,); -1 for only internal edges, 1
            for only external edges, NaN for no edges.
        expected: expected index of each group for random edges with fixed strengths, 1
            - 2 × its share of all ends, float64 (num_groups,). It shows the effect of a
            group's size.
        overall: the index over all edges; NaN without edges.
        assortativity: assortativity in [-1, 1]: 1 without edges between groups, 0 for
            random edges; NaN if one group has all edges, or without edges.
    """

    mixing: sparse.csr_array
    ei_index: np.ndarray
    expected: np.ndarray
    overall: float
    assortativity: float

    def between(self) -> Layer:
        """Returns the graph of the groups, with the weight between each two of them."""
        return Layer("between", to_canonical(self.mixing))


def measure_isolation(layer: Layer, groups: np.ndarray) -> Isolation:
    """Measures the isolation of groups.

    Args:
        layer: weighted edges; a directed edge counts in both directions.
        groups: group of each user, such as a community or an encoded attribute,
            numbered from 0, int64 (num_users,); -1 if unknown, which excludes the
            user's edges.
    """
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


def _mixing(layer: Layer, groups: np.ndarray) -> sparse.csr_array:
    edges = layer.undirected().weights.tocoo()
    first, second = groups[edges.row], groups[edges.col]
    known = (first >= 0) & (second >= 0)
    shape = (int(groups.max(initial=-1)) + 1,) * 2
    mixing = sparse.csr_array(
        (edges.data[known], (first[known], second[known])), shape=shape
    )
    # Rounding would otherwise make the matrix asymmetric.
    mixing = sparse.csr_array((mixing + mixing.T) / 2)
    mixing.sort_indices()
    return mixing


def _assortativity(kept: float, by_chance: float) -> float:
    """Returns Newman's r from observed and expected shares inside groups."""
    return (kept - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
