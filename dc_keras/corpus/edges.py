"""All edges of a corpus: those in ties.parquet, and those implied by the posts.

A post implies an edge to each user it mentions, and to the post that it is a duet or a
stitch of. Edges that lead to a handle or to a post are redirected to its user where the
corpus knows the user.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from dc_keras.corpus.pseudonyms import mention_code
from dc_keras.corpus.records import Edge
from dc_keras.corpus.store import Corpus

_MADE_FROM = {"duet": "duet_of", "stitch": "stitch_of"}
_COLUMNS = tuple(Edge.__dataclass_fields__)


def all_edges(corpus: Corpus) -> pl.DataFrame:
    """Returns all edges of a corpus, sorted; the columns are the fields of `Edge`."""
    edges = pl.concat([corpus.edges, *_edges_of_posts(corpus.videos)])
    edges = _to_users(edges, "mention", _owners_of_mentions(corpus.users))
    edges = _to_users(edges, "video", corpus.videos.select("video_id", "user_id"))
    return edges.unique().sort(_COLUMNS)


def _edges_of_posts(videos: pl.DataFrame) -> Iterable[pl.DataFrame]:
    mentions = videos.select("user_id", "video_id", "create_time", "source", "mentions")
    mentions = mentions.explode("mentions").drop_nulls("mentions")
    yield _edges(mentions, "mention", "mention", pl.col("mentions"))
    for kind, column in _MADE_FROM.items():
        yield _edges(videos.drop_nulls(column), kind, "video", pl.col(column))


def _edges(
    rows: pl.DataFrame, kind: str, target_type: str, target: pl.Expr
) -> pl.DataFrame:
    return rows.select(
        pl.lit(kind).alias("kind"),
        "user_id",
        pl.lit(target_type).alias("target_type"),
        target.alias("target_id"),
        "video_id",
        pl.col("create_time").alias("time"),
        "source",
    )


def _owners_of_mentions(users: pl.DataFrame) -> pl.DataFrame:
    owners = users.select("user_id", pl.col("aliases").alias("alias")).explode("alias")
    code = pl.col("alias").map_elements(mention_code, return_dtype=pl.String)
    owners = owners.drop_nulls().select(code.alias("code"), "user_id").unique()
    return owners.filter(pl.col("code").is_unique())


def _to_users(
    edges: pl.DataFrame, target_type: str, owners: pl.DataFrame
) -> pl.DataFrame:
    """Redirects edges of one target type to users; `owners` has target and user ids."""
    key, owner = owners.columns
    known = owners.rename({key: "target_id", owner: "owner"})
    joined = edges.join(known, on="target_id", how="left", maintain_order="left")
    is_known = (pl.col("target_type") == target_type) & pl.col("owner").is_not_null()
    return joined.with_columns(
        pl.when(is_known)
        .then(pl.lit("user"))
        .otherwise("target_type")
        .alias("target_type"),
        pl.when(is_known).then("owner").otherwise("target_id").alias("target_id"),
    ).select(_COLUMNS)
