"""Graphs of users, or of users and things, as tables for files and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.affiliations import Affiliations
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
        edges: one row per edge: `source` and `target`, ids of users; `weight`; and any
            further attributes, such as the weight in each layer.
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


def edge_table(graph: SocialGraph, layer: Layer) -> pl.DataFrame:
    """Returns the edges of a layer with their weights in each layer of the graph.

    Args:
        graph: the graph.
        layer: the layer, such as `graph.combined()`; an undirected edge has one row,
            from its lower row.

    Returns:
        `source`, `target`, `weight`, and a column of weights for each other layer of
        the graph (null without such an edge); sorted by source and target.
    """
    weights = layer.weights if layer.is_directed else sparse.triu(layer.weights, k=1)
    edges = weights.tocoo()
    users = np.array(graph.users, dtype=object)
    table = pl.DataFrame(
        {
            "source": pl.Series(users[edges.row], dtype=pl.String),
            "target": pl.Series(users[edges.col], dtype=pl.String),
            "weight": edges.data,
        }
    )
    for other in graph.layers:
        if other.name != layer.name:
            same = other if layer.is_directed else other.undirected()
            at = np.empty(0)
            if edges.nnz:  # scipy would return a sparse array for no edges
                at = np.asarray(same.weights[edges.row, edges.col], np.float64).ravel()
            table = table.with_columns(pl.Series(other.name, at).replace(0.0, None))
    return table.sort("source", "target")


def bipartite_view(
    affiliations: Affiliations, attributes: pl.DataFrame | None = None
) -> GraphView:
    """Returns the undirected graph of users and their things.

    Args:
        affiliations: the affiliations, including users without things.
        attributes: `user_id` and further columns for users, such as `community`.

    Returns:
        Nodes with `node_type`, "user" or the kind of thing; `bipartite`, 0 for users
        and 1 for things (networkx's convention); and `degree`, the number of things of
        a user or of users of a thing. The id of a thing is its name with a prefix:
        "#tag", "♫ sound", otherwise "kind: name". Edges have `source`, the user,
        `target`, the thing, and `weight`, the number of posts.

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
    edges = counts.tocoo()
    return GraphView(
        table,
        pl.DataFrame(
            {
                "source": users.gather(edges.row),
                "target": names.gather(edges.col),
                "weight": edges.data,
            }
        ),
    )
