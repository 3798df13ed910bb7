"""Computes the spells of edges: the periods in which they existed.

An edge exists in a period if the posts of that period alone create it, and consecutive
periods form one spell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import polars as pl
from scipy import sparse

from dc_keras.social.graph import SocialGraph

_EDGE = ("layer", "source", "target")
SCHEMA = {
    "layer": pl.String,
    "source": pl.String,
    "target": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
}


def find_spells(
    periods: Iterable[tuple[int, SocialGraph]], period_s: int
) -> pl.DataFrame:
    """Returns the spells of each edge of each layer.

    Args:
        periods: start, UTC seconds, and graph of each period, such as
            `building.iter_snapshots`.
        period_s: length of a period in seconds.

    Returns:
        `layer`, `source` and `target` (ids of users; the lower one first if
        undirected), `start`, inclusive, and `end`, exclusive, UTC seconds; sorted.
    """
    standing = [pl.DataFrame(schema=SCHEMA)]
    for start, graph in periods:
        users = pl.Series(graph.users, dtype=pl.String)
        for layer in graph.layers:
            weights = layer.weights
            edges = (
                weights if layer.is_directed else sparse.triu(weights, k=1)
            ).tocoo()
            columns = {"source": users[edges.row], "target": users[edges.col]}
            standing.append(
                pl.DataFrame(columns).select(
                    pl.lit(layer.name).alias("layer"),
                    "source",
                    "target",
                    pl.lit(start, pl.Int64).alias("start"),
                    pl.lit(start + period_s, pl.Int64).alias("end"),
                )
            )
    return _joined(pl.concat(standing), _EDGE)


def combine_spells(spells: pl.DataFrame, layers: Collection[str]) -> pl.DataFrame:
    """Returns the spells of edges in any of several layers, without direction.

    Returns:
        `source`, `target` (the lower id first), `start` and `end`, sorted.
    """
    counted = spells.filter(pl.col("layer").is_in(list(layers)))
    ends = ("source", "target")
    return _joined(
        counted.select(
            pl.min_horizontal(ends).alias("source"),
            pl.max_horizontal(ends).alias("target"),
            "start",
            "end",
        ),
        ends,
    )


def _joined(spells: pl.DataFrame, edge: tuple[str, ...]) -> pl.DataFrame:
    """Merges spells that touch or overlap."""
    ordered = spells.sort(*edge, "start", "end")
    before = pl.col("end").cum_max().shift(1).over(edge)
    is_new = (before.is_null() | (pl.col("start") > before)).cast(pl.Int64)
    return (
        ordered.with_columns(is_new.cum_sum().over(edge).alias("spell"))
        .group_by(*edge, "spell")
        .agg(pl.col("start").min(), pl.col("end").max())
        .sort(*edge, "start")
        .drop("spell")
    )
