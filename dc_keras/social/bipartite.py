"""The bipartite graph of users and things."""

from __future__ import annotations

import polars as pl

from dc_keras.errors import DataError
from dc_keras.social.affiliations import Affiliations, encode_moments
from dc_keras.social.graph_view import GraphView

_MARKS = {"hashtag": "#", "sound": "♫ "}


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
