"""One layer with all that is known of its users and edges, ready to be written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph


@dataclass(frozen=True, eq=False)
class GraphView:
    """A graph as two tables, and where its users are drawn.

    Attributes:
        users: a row a user: `user_id`, then any attributes.
        edges: a row a edge: `source` and `target`, ids of users; `weight`; any further
            attributes, such as the weight in each layer; and where it is known when
            the edge was seen, `first` and `last`, UTC seconds.
        is_directed: whether edges lead from source to target.
        positions: float64 (num_users, 2); None where they are not laid out.
        colours: #RRGGBB of each user; None where all are alike.
        sizes: float64 (num_users,), above 0; None where all are alike.
        spells: when edges stood: `source` and `target` as in `edges`, `start`, and
            `end`, the first second that is no longer in it, UTC; None where nobody
            looked.
    """

    users: pl.DataFrame
    edges: pl.DataFrame
    is_directed: bool = False
    positions: np.ndarray | None = None
    colours: list[str] | None = None
    sizes: np.ndarray | None = None
    spells: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        given = (self.positions, self.colours, self.sizes)
        lengths = [len(values) for values in given if values is not None]
        if any(length != self.users.height for length in lengths):
            raise DataError(
                "positions, colours and sizes must have one a user. Received: "
                f"users={self.users.height}, lengths={lengths}"
            )


def edge_table(
    graph: SocialGraph, layer: Layer, times: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Returns the edges of a layer and what each layer of the graph adds to them.

    Args:
        graph: whose users.
        layer: the edges, such as `graph.combined()`; a edge without direction is there
            once, from the lower row.
        times: `source`, `target` (as here), `first`, `last`, UTC seconds; those of the
            layer if None.

    Returns:
        `source`, `target`, `weight`, `significance` where the layer has it, a column of
        weights for each other layer of the graph (null where it has no such edge), and
        `first` and `last`, UTC seconds, where they are known; sorted by source and
        target.
    """
    weights = layer.weights if layer.is_directed else sparse.triu(layer.weights, k=1)
    edges = weights.tocoo()
    users = np.array(graph.users, dtype=object)
    columns = {
        "source": pl.Series(users[edges.row], dtype=pl.String),
        "target": pl.Series(users[edges.col], dtype=pl.String),
        "weight": edges.data,
    }
    if layer.significance is not None:
        by_edge = layer.weights.copy()
        # A chance of 0 is not a edge that is missing.
        by_edge.data = layer.significance + 1.0
        columns["significance"] = _at(by_edge, edges.row, edges.col) - 1.0
    table = pl.DataFrame(columns)
    for other in graph.layers:
        if other.name != layer.name:
            seen = other if layer.is_directed else other.undirected()
            found = pl.Series(other.name, _at(seen.weights, edges.row, edges.col))
            table = table.with_columns(found.replace(0.0, None))
    if times is None and layer.times is not None:
        at = layer.times_at(edges.row, edges.col)
        table = table.with_columns(
            pl.Series("first", at[0]).fill_nan(None).cast(pl.Int64),
            pl.Series("last", at[1]).fill_nan(None).cast(pl.Int64),
        )
    if times is not None:
        table = table.join(times, on=["source", "target"], how="left")
    return table.sort("source", "target")


def _at(matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.asarray(matrix[rows, columns], np.float64).ravel()
