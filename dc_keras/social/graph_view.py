"""Graphs of users, or of users and things, as tables for files and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.affiliations import Affiliations, encode_moments
from dc_keras.social.graph import Layer, SocialGraph

# The colours of Okabe and Ito (2008) without black, and three of Tol's muted colours
# (2021), which colour-blind readers can tell apart.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#882255",
    "#999933",
    "#332288",
)
# The colour of all other communities; more colours could not be distinguished.
OTHER = "#B8BEC4"
_MARKS = {"hashtag": "#", "sound": "♫ "}


def community_colours(membership: np.ndarray) -> list[str]:
    """Returns a colour (#RRGGBB) per user; small communities share the last colour.

    Args:
        membership: community of each user, numbered from 0 by descending size, int64
            (num_users,).
    """
    colours = (*PALETTE, OTHER)
    return [colours[min(group, len(PALETTE))] for group in membership.tolist()]


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
    if not len(rows):  # scipy would return a sparse array
        return np.empty(0)
    return np.asarray(matrix[rows, columns], np.float64).ravel()


def bipartite_view(
    affiliations: Affiliations,
    moments: pl.DataFrame,
    attributes: pl.DataFrame | None = None,
) -> GraphView:
    """Returns the undirected graph of users and their things.

    Args:
        affiliations: the affiliations, including users without things.
        moments: table of `find_moments` that the affiliations were counted from.
        attributes: `user_id` and further columns for users, such as `community`.

    Returns:
        Nodes with `node_type`, "user" or the kind of thing; `bipartite`, 0 for users
        and 1 for things (networkx's convention); and `degree`, the number of things of
        a user or of users of a thing. The id of a thing is its name with a prefix:
        "#tag", "♫ sound", otherwise "kind: name". Edges have `source`, the user, and
        `target`, the thing; `weight`, the number of posts; and `first` and `last`,
        their times if they are known.

    Raises:
        DataError: a user and a thing have the same name.
    """
    kind = affiliations.kind
    mark = _MARKS.get(kind, f"{kind}: ")
    names = pl.Series(
        [f"{mark}{thing}" for thing in affiliations.things], dtype=pl.String
    )
    users = pl.Series(affiliations.users, dtype=pl.String)
    if set(users) & set(names):
        raise DataError(
            "users and things must have different names. Received: "
            f"{min(set(users) & set(names))}"
        )
    counts = affiliations.counts
    nodes = [
        pl.DataFrame({"user_id": ids, "degree": pl.Series(degrees, dtype=pl.Int64)})
        .with_columns(pl.lit(name).alias("node_type"), pl.lit(side).alias("bipartite"))
        .select("user_id", "node_type", "bipartite", "degree")
        for ids, degrees, name, side in (
            (users, counts.indptr[1:] - counts.indptr[:-1], "user", 0),
            (names, affiliations.num_users_of, kind, 1),
        )
    ]
    table = pl.concat(nodes)
    if attributes is not None:
        known = attributes.drop(
            [name for name in table.columns if name != "user_id"], strict=False
        )
        table = table.join(known, on="user_id", how="left", maintain_order="left")
    return GraphView(table, _edges(affiliations, moments, users, names))


def _edges(
    affiliations: Affiliations,
    moments: pl.DataFrame,
    users: pl.Series,
    names: pl.Series,
) -> pl.DataFrame:
    time = pl.col("time").cast(pl.Int64)
    coded = encode_moments(moments, affiliations.users, affiliations.things)
    edges = (
        coded.group_by("user", "thing")
        .agg(
            pl.len().cast(pl.Float64).alias("weight"),
            time.min().alias("first"),
            time.max().alias("last"),
        )
        .sort("user", "thing")
    )
    return edges.select(
        users.gather(edges["user"]).alias("source"),
        names.gather(edges["thing"]).alias("target"),
        "weight",
        "first",
        "last",
    )
