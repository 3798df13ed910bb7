"""A social graph with several layers over the same users.

A layer is one kind of edge, such as shared sounds or mentions, and is stored as a
sparse matrix.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    """

    name: str
    weights: sparse.csr_array
    is_directed: bool = False

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

    @property
    def num_edges(self) -> int:
        """The number of edges; an undirected edge counts once."""
        stored = int(self.weights.nnz)
        return stored if self.is_directed else stored // 2

    def undirected(self) -> Layer:
        """Returns the layer with both directions of each edge summed."""
        if not self.is_directed:
            return self
        return Layer(self.name, to_canonical(self.weights + self.weights.T))


@dataclass(frozen=True, eq=False)
class SocialGraph:
    """Users and the layers of edges between them.

    Attributes:
        users: keyed pseudonyms, sorted; row and column i of every layer is `users[i]`.
        layers: the layers, with distinct names.
        spells: periods in which each edge existed (`spells.find_spells`); None if
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
        return Layer("combined", to_canonical(total))

    def part(self, users: Iterable[str]) -> SocialGraph:
        """Returns the subgraph of users."""
        kept = tuple(sorted(set(users)))
        rows = [self.row_of[user] for user in kept]
        spells = self.spells
        if spells is not None:
            ends = [pl.col(end).is_in(kept) for end in ("source", "target")]
            spells = spells.filter(*ends)
        layers = tuple(
            replace(layer, weights=to_canonical(layer.weights[rows][:, rows]))
            for layer in self.layers
        )
        return SocialGraph(kept, layers, spells)


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
