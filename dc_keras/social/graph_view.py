"""A layer with the attributes of its users and edges, for files and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph


@dataclass(frozen=True, eq=False)
class GraphView:
    """A graph as two tables, with an optional layout.

    Attributes:
        users: one row per user: `user_id` and any attributes.
        edges: one row per edge: `source` and `target`, ids of users; `weight`; any
            further attributes, such as the weight in each layer; and, if known, `first`
            and `last`, the times at which the edge was observed, UTC seconds.
        is_directed: whether edges lead from source to target.
        positions: positions of users, float64 (num_users, 2); None without a layout.
        colours: colour of each user, #RRGGBB; None for one colour.
        sizes: size of each user, above 0, float64 (num_users,); None for one size.
        spells: periods in which edges existed: `source` and `target` as in `edges`,
            `start`, inclusive, and `end`, exclusive, UTC seconds; None if they were not
            computed.
    """

    users: pl.DataFrame
    edges: pl.DataFrame
    is_directed: bool = False
    positions: np.ndarray | None = None
    colours: list[str] | None = None
    sizes: np.ndarray | None = None
    spells: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        columns = (self.positions, self.colours, self.sizes)
        lengths = [len(values) for values in columns if values is not None]
        if any(length != self.users.height for length in lengths):
            raise DataError(
                "positions, colours and sizes must have one entry per user. Received: "
                f"users={self.users.height}, lengths={lengths}"
            )


def edge_table(graph: SocialGraph, layer: Layer) -> pl.DataFrame:
    """Returns the edges of a layer with their weights in each layer of the graph.

    Args:
        graph: the graph.
        layer: the layer, such as `graph.combined()`; an undirected edge has one row,
            from its lower row.

    Returns:
        `source`, `target`, `weight`, `significance` if the layer has it, a column of
        weights for each other layer of the graph (null without such an edge), and
        `first` and `last`, UTC seconds, if known; sorted by source and target.
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
        # A chance of 0 would be a missing edge.
        by_edge.data = layer.significance + 1.0
        columns["significance"] = _at(by_edge, edges.row, edges.col) - 1.0
    table = pl.DataFrame(columns)
    for other in graph.layers:
        if other.name != layer.name:
            same = other if layer.is_directed else other.undirected()
            weights = pl.Series(other.name, _at(same.weights, edges.row, edges.col))
            table = table.with_columns(weights.replace(0.0, None))
    if layer.times is not None:
        at = layer.times_at(edges.row, edges.col)
        table = table.with_columns(
            pl.Series("first", at[0]).fill_nan(None).cast(pl.Int64),
            pl.Series("last", at[1]).fill_nan(None).cast(pl.Int64),
        )
    return table.sort("source", "target")


def _at(matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.asarray(matrix[rows, columns], np.float64).ravel()
