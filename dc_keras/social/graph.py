"""A social graph with several layers over the same users.

A layer is one kind of edge, such as shared sounds or mentions, and is stored as a
sparse matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError


@dataclass(frozen=True, eq=False)
class Layer:
    """One kind of edge.

    Attributes:
        name: the kind, such as "co-hashtag" or "mention".
        weights: float64 (num_users, num_users), CSR in canonical form: sorted indices,
            no duplicates, no zeros, empty diagonal. Symmetric unless `is_directed`.
        is_directed: whether an edge leads from its row to its column; otherwise it is
            stored in both directions.
        significance: p-value of each edge's weight under the null model of the
            backbone, in the order of `weights.data`, in [0, 1]; None without a
            backbone.
        times: times at which each edge was first and last observed, UTC seconds,
            float64 (2, num_stored), in the order of `weights.data`; NaN if unknown.
            None if they were not computed.
    """

    name: str
    weights: sparse.csr_array
    is_directed: bool = False
    significance: np.ndarray | None = None
    times: np.ndarray | None = None

    def __post_init__(self) -> None:
        weights = self.weights
        if (
            weights.shape[0] != weights.shape[1]
            or not weights.has_canonical_format
            or not np.all(np.isfinite(weights.data) & (weights.data > 0))
            or weights.diagonal().any()
        ):
            raise DataError(
                "a layer must be a square matrix of weights above 0 off the diagonal. "
                f"Received: layer={self.name}, shape={weights.shape}"
            )
        if not self.is_directed and (weights != weights.T).nnz:
            raise DataError(
                "a layer without direction must be symmetric. "
                f"Received: layer={self.name}"
            )
        # NaN compares as false, so unknown times pass.
        if self.times is not None and (
            self.times.shape != (2, weights.nnz)
            or (self.times[0] > self.times[1]).any()
        ):
            raise DataError(
                "a layer must have a first and a last time of each edge. Received: "
                f"layer={self.name}, times={self.times.shape}, edges={weights.nnz}"
            )

    @property
    def num_edges(self) -> int:
        """The number of edges; an undirected edge counts once."""
        stored = int(self.weights.nnz)
        return stored if self.is_directed else stored // 2

    def undirected(self) -> Layer:
        """Returns the layer with both directions of each edge summed."""
        if not self.is_directed:
            return self
        weights = to_canonical(self.weights + self.weights.T)
        return Layer(self.name, weights, times=combine_edge_times(weights, [self]))

    def times_at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns the first and last times of edges, float64 (2, num_pairs).

        Args:
            rows: rows of the edges, int (num_pairs,).
            columns: columns of the edges, int (num_pairs,).

        Returns:
            UTC seconds; NaN if the edge does not exist or its times are unknown.
        """
        times = np.full((2, len(rows)), np.nan)
        if self.times is None or not self.weights.nnz or not len(rows):
            return times
        number = self.weights.copy()
        number.data = np.arange(1.0, number.nnz + 1)
        at = np.asarray(number[rows, columns]).ravel().astype(np.int64) - 1
        times[:, at >= 0] = self.times[:, at[at >= 0]]
        return times


@dataclass(frozen=True, eq=False)
class SocialGraph:
    """Users and the layers of edges between them.

    Attributes:
        users: keyed pseudonyms, sorted; row and column i of every layer is `users[i]`.
        layers: the layers, with distinct names.
        spells: periods in which each edge existed (`tie_times.find_spells`); None if
            they were not computed.
    """

    users: tuple[str, ...]
    layers: tuple[Layer, ...]
    spells: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise DataError(f"names of layers must differ. Received: layers={names}")
        for layer in self.layers:
            if layer.weights.shape[0] != len(self.users):
                raise DataError(
                    "a layer must have one row per user. Received: "
                    f"layer={layer.name}, rows={layer.weights.shape[0]}, "
                    f"users={len(self.users)}"
                )

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each user."""
        return {user: row for row, user in enumerate(self.users)}

    def layer(self, name: str) -> Layer:
        """Returns the layer of a name.

        Raises:
            DataError: there is no such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise DataError(
            f"layer must be one of {[layer.name for layer in self.layers]}. "
            f"Received: layer={name}"
        )

    def combined(self, names: Iterable[str] = ()) -> Layer:
        """Returns the sum of layers as one undirected layer.

        Args:
            names: names of the layers; all layers if there are none. A directed edge
                counts in both directions.
        """
        layers = [self.layer(name) for name in dict.fromkeys(names)] or self.layers
        total = sparse.csr_array((len(self.users),) * 2)
        for layer in layers:
            weights = layer.weights
            total += weights + weights.T if layer.is_directed else weights
        weights = to_canonical(total)
        return Layer("combined", weights, times=combine_edge_times(weights, layers))

    def part(self, users: Iterable[str]) -> SocialGraph:
        """Returns the subgraph of users."""
        kept = tuple(sorted(set(users)))
        rows = [self.row_of[user] for user in kept]
        spells = self.spells
        if spells is not None:
            ends = [pl.col(end).is_in(kept) for end in ("source", "target")]
            spells = spells.filter(*ends)
        layers = tuple(_part_of(layer, rows) for layer in self.layers)
        return SocialGraph(kept, layers, spells)


def _part_of(layer: Layer, rows: list[int]) -> Layer:
    weights = to_canonical(layer.weights[rows][:, rows])
    chance = layer.significance
    if chance is not None:
        by_edge = layer.weights.copy()
        by_edge.data = chance + 1.0  # a chance of 0 would be a missing edge
        chance = to_canonical(by_edge[rows][:, rows]).data - 1.0
    times = None
    if layer.times is not None:
        edges, whole = weights.tocoo(), np.array(rows, np.int64)
        times = layer.times_at(whole[edges.row], whole[edges.col])
    return Layer(layer.name, weights, layer.is_directed, chance, times)


def combine_edge_times(
    weights: sparse.csr_array, layers: Sequence[Layer]
) -> np.ndarray | None:
    """Returns the first and last times of undirected edges over several layers.

    Args:
        weights: weights of the undirected layer, symmetric and canonical.
        layers: the layers; a directed edge counts in both directions.

    Returns:
        As for `Layer.times`; None if no layer has times.
    """
    layers = [layer for layer in layers if layer.times is not None]
    if not layers:
        return None
    edges = weights.tocoo()
    found = []
    for layer in layers:
        found.append(layer.times_at(edges.row, edges.col))
        if layer.is_directed:
            found.append(layer.times_at(edges.col, edges.row))
    first = np.fmin.reduce([times[0] for times in found])
    last = np.fmax.reduce([times[1] for times in found])
    return np.stack([first, last])


def to_canonical(weights: sparse.sparray) -> sparse.csr_array:
    """Returns weights in the canonical form of `Layer.weights`."""
    matrix = sparse.csr_array(weights, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    # `setdiag` would first allocate the whole diagonal.
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    matrix.data[matrix.indices == row] = 0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
