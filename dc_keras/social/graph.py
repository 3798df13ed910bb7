"""A social graph: the same users in every layer, a sparse matrix a layer.

A layer is one kind of tie, such as shared sounds or mentions. Nothing here is dense: a
layer of n users costs what its ties cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from dc_keras.errors import DataError


@dataclass(frozen=True, eq=False)
class Layer:
    """One kind of tie.

    Attributes:
        name: the kind, such as "co-hashtag" or "mention".
        weights: float64 (num_users, num_users), CSR in canonical form: indices sorted,
            no tie twice, no weight of zero, nothing on the diagonal. Symmetric unless
            `is_directed`.
        is_directed: whether a tie leads from its row to its column; otherwise it stands
            in both.
        significance: of each tie, in the order of `weights.data`, in [0, 1]: the chance
            of a weight like this where ties fall at random (lower is stronger); None
            where no backbone was asked for.
    """

    name: str
    weights: sparse.csr_array
    is_directed: bool = False
    significance: np.ndarray | None = None

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
    def num_ties(self) -> int:
        """How many pairs are tied, each counted once where there is no direction."""
        stored = int(self.weights.nnz)
        return stored if self.is_directed else stored // 2

    def undirected(self) -> Layer:
        """Returns the layer, with ties summed over both ways if they have direction."""
        if not self.is_directed:
            return self
        return Layer(self.name, canonical(self.weights + self.weights.T))


@dataclass(frozen=True, eq=False)
class SocialGraph:
    """Users and the layers of ties between them.

    Attributes:
        users: keyed pseudonyms, sorted: row and column i of every layer is `users[i]`.
        layers: in the order asked for; names differ.
    """

    users: tuple[str, ...]
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) < len(names):
            raise DataError(f"names of layers must differ. Received: layers={names}")
        for layer in self.layers:
            if layer.weights.shape[0] != len(self.users):
                raise DataError(
                    "a layer must have a row a user. Received: "
                    f"layer={layer.name}, rows={layer.weights.shape[0]}, "
                    f"users={len(self.users)}"
                )

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each user."""
        return {user: row for row, user in enumerate(self.users)}

    def layer(self, name: str) -> Layer:
        """Returns the layer of that name, or raises a `DataError`."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise DataError(
            f"layer must be one of {[layer.name for layer in self.layers]}. "
            f"Received: layer={name}"
        )

    def combined(self, shares: Mapping[str, float] | None = None) -> Layer:
        """Returns one layer without direction, the sum of all or of some.

        Args:
            shares: what each layer counts, by name, above 0; others are left out. All
                count 1 if None. A tie with direction counts for both its ends.
        """
        shares = shares or {layer.name: 1.0 for layer in self.layers}
        total = sparse.csr_array((len(self.users),) * 2)
        for name, share in shares.items():
            layer = self.layer(name)
            weights = layer.weights
            total += share * (weights + weights.T if layer.is_directed else weights)
        return Layer("combined", canonical(total))

    def part(self, users: Iterable[str]) -> SocialGraph:
        """Returns the graph of these users alone, with the ties among them."""
        kept = tuple(sorted(set(users)))
        rows = [self.row_of[user] for user in kept]
        return SocialGraph(kept, tuple(_part_of(layer, rows) for layer in self.layers))


def _part_of(layer: Layer, rows: list[int]) -> Layer:
    weights = canonical(layer.weights[rows][:, rows])
    chance = layer.significance
    if chance is not None:
        of_ties = layer.weights.copy()
        of_ties.data = chance + 1.0  # a chance of 0 is not a tie that is missing
        chance = canonical(of_ties[rows][:, rows]).data - 1.0
    return Layer(layer.name, weights, layer.is_directed, chance)


def canonical(weights: sparse.sparray) -> sparse.csr_array:
    """Returns weights as a `Layer` wants them: no zeros, no diagonal, sorted."""
    matrix = sparse.csr_array(weights, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    # `setdiag` would first make room for a diagonal that is not there.
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    matrix.data[matrix.indices == row] = 0
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
