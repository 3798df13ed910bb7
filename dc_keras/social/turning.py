"""Ties of users who turn to each other: mentions, duets, replies, follows."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, canonical

KINDS = ("mention", "duet", "stitch", "reply", "follow", "suggested")


def turn_ties(
    edges: pl.DataFrame,
    kind: str,
    users: tuple[str, ...],
    *,
    start: int | None = None,
    end: int | None = None,
) -> Layer:
    """Returns the layer of one kind: how often a row's user turns to a column's.

    Args:
        edges: of `corpus.edges.all_edges`.
        kind: one of `KINDS`.
        users: rows and columns, sorted. Ties that lead to nobody of them, such as
            mentions of a handle that no post is by, are left out.
        start: first time that counts, UTC seconds; None from the beginning.
        end: first one that does not; None to the end. Follows and suggestions often
            have no time: they count only where neither is given.

    Raises:
        DataError: `kind` is none of them.
    """
    if kind not in KINDS:
        raise DataError(
            f"kind must be one of {', '.join(KINDS)}. Received: kind={kind}"
        )
    edges = edges.filter((pl.col("kind") == kind) & (pl.col("target_type") == "user"))
    if start is not None:
        edges = edges.filter(pl.col("time") >= start)
    if end is not None:
        edges = edges.filter(pl.col("time") < end)
    known = pl.Series("user_id", users, dtype=pl.String)
    edges = edges.filter(
        pl.col("user_id").is_in(known.implode())
        & pl.col("target_id").is_in(known.implode())
    )
    place = tuple(
        known.search_sorted(edges[name]).to_numpy() for name in ("user_id", "target_id")
    )
    shape = (len(users), len(users))
    weights = sparse.coo_array((np.ones(edges.height), place), shape)
    return Layer(kind, canonical(weights.tocsr()), is_directed=True)
