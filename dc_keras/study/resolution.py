"""Resolves a study on a corpus: the panel, the labels and the posts of each side."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.study.challenge import require_matches
from dc_keras.study.participation import Grid
from dc_keras.study.study import Study, SupportRule, require_choice

_POOL_DOMAIN = "dc_keras/support pool/"


def resolve_study(
    study: Study,
    corpus: Corpus,
    *,
    support: SupportRule = "outside_panel",
    **overrides: Any,
) -> Grid:
    """Resolves a study on a corpus.

    Args:
        study: the study.
        corpus: the corpus; only its `videos` table is read.
        support: "outside_panel" describes challenges by the posts of users outside the
            panel (the support pool). "included" uses the posts of all users, as the
            paper does; a positive pair's own post then describes its challenge.
        **overrides: settings of the study to replace.

    Raises:
        DataError: if a setting is invalid, no post matches any challenge, or the panel
            is empty.
    """
    require_choice("support", support, get_args(SupportRule))
    require_matches(study.challenges, corpus.videos)
    return resolve_grid(study.with_settings(**overrides), corpus.videos, support)


def resolve_grid(study: Study, videos: pl.DataFrame, support: str) -> Grid:
    """Resolves a study on a table of posts.

    Raises:
        DataError: if the panel is empty.
    """
    posts = _dated(study, videos.select("video_id", "user_id", "create_time", "views"))
    joins = find_joins(study, videos).join(posts, on="video_id", maintain_order="left")
    pool = _pool(study, posts) if support == "outside_panel" else None
    past = posts.filter("is_past")
    histories = _histories(study, past.join(joins, on="video_id", how="anti"))
    describing = joins if pool is None else joins.filter(pl.col("user_id").is_in(pool))
    support_ids = _support(study, describing.filter("is_past"))
    panel, left_out = _panel(study, posts, joins, histories, pool)
    if not panel:
        reasons = ", ".join(f"{what}: {n}" for what, n in left_out.items())
        raise DataError(
            "the panel must have at least one user; lower `history_min` or "
            "`min_participations`, or import more posts. Received: "
            f"num_users={posts['user_id'].n_unique()} ({reasons})"
        )
    labels, observed = _label(study, joins, panel)
    used = {v for ids in (*support_ids, *(histories[u] for u in panel)) for v in ids}
    owners = posts.filter(pl.col("video_id").is_in(used)).sort("video_id")
    pool_users = sorted((pool or set()) & histories.keys())
    undated = posts.filter(pl.col("is_past").is_null()).height
    return Grid(
        challenges=tuple(challenge.name for challenge in study.challenges),
        users=panel,
        labels=labels,
        observed=observed,
        histories=tuple(histories[user] for user in panel),
        support=support_ids,
        video_users=dict(owners.select("video_id", "user_id").iter_rows()),
        pool_users=tuple(pool_users),
        pool_histories=tuple(histories[user] for user in pool_users),
        settings=_settings(study, support),
        counts=left_out | {"posts without a date": undated},
    )


def user_histories(
    study: Study, videos: pl.DataFrame, user_ids: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Returns the histories of users, whether or not they are in the panel.

    Returns:
        Video ids by user, as in `Grid.histories`, without users who have no such posts.
    """
    own = videos.filter(pl.col("user_id").is_in(user_ids))
    posts = _dated(study, own.select("video_id", "user_id", "create_time"))
    joins = find_joins(study, own)
    return _histories(
        study, posts.filter("is_past").join(joins, on="video_id", how="anti")
    )


def count_joined(study: Study, videos: pl.DataFrame, challenge: str) -> tuple[int, int]:
    """Returns how many authors joined a challenge, and how many could have joined it.

    With a cutoff, these are the authors who had not joined it before the cutoff.
    """
    names = [known.name for known in study.challenges]
    posts = _dated(study, videos.select("video_id", "user_id", "create_time"))
    joins = find_joins(study, videos).filter(challenge=names.index(challenge))
    joins = joins.join(posts, on="video_id")
    joined = set(joins["user_id"])
    early: set[str] = set()
    if study.cutoff is not None:
        early = set(joins.filter(pl.col("is_past").fill_null(True))["user_id"])
    return len(joined - early), posts["user_id"].n_unique() - len(early)


def in_pool(user_id: str, fraction: float) -> bool:
    """Returns whether a user is in the support pool, by a hash of the id.

    Args:
        user_id: pseudonym of the user.
        fraction: share of the users in the pool, 0 to 1.
    """
    digest = hashlib.sha256((_POOL_DOMAIN + user_id).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


def named_joins(study: Study, videos: pl.DataFrame) -> pl.DataFrame:
    """Returns the challenges of each post by name, for `read_pasts`.

    Returns:
        As `find_joins`, but `challenge` is the name of the challenge.
    """
    names = pl.Series([c.name for c in study.challenges], dtype=pl.String)
    joins = find_joins(study, videos)
    return joins.with_columns(names.gather(joins["challenge"]).alias("challenge"))


def find_joins(study: Study, videos: pl.DataFrame) -> pl.DataFrame:
    """Returns the challenges of each post.

    Returns:
        One row per post and challenge, sorted, with the columns `video_id` and
        `challenge`, the position of the challenge in the study.
    """
    tags: dict[str, int] = {}
    sounds: dict[str, int] = {}
    for column, challenge in enumerate(study.challenges):
        tags |= dict.fromkeys(challenge.hashtags, column)
        sounds |= dict.fromkeys(challenge.sounds, column)
    by_tag = videos.select("video_id", mark="hashtags").explode("mark")
    by_sound = videos.select("video_id", mark="music_id")
    matches = [
        marked.with_columns(
            challenge=pl.col("mark").replace_strict(
                list(owners), list(owners.values()), default=None, return_dtype=pl.Int64
            )
        )
        for marked, owners in ((by_tag, tags), (by_sound, sounds))
        if owners
    ]
    joins = pl.concat(matches).drop_nulls("challenge")
    return joins.select("video_id", "challenge").unique().sort("video_id", "challenge")


def _dated(study: Study, posts: pl.DataFrame) -> pl.DataFrame:
    """Adds `is_past`: whether a post is before the cutoff; null without a date."""
    is_past = pl.lit(True)
    if study.cutoff is not None:
        is_past = pl.col("create_time") < study.cutoff
    return posts.with_columns(is_past=is_past)


def _pool(study: Study, posts: pl.DataFrame) -> set[str]:
    users = posts["user_id"].unique()
    return {user for user in users if in_pool(user, study.pool_fraction)}


def _histories(study: Study, posts: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    newest = posts.sort(
        "create_time", "video_id", descending=[True, False], nulls_last=True
    )
    grouped = newest.group_by("user_id").agg(pl.col("video_id").head(study.history_max))
    return {user: tuple(ids) for user, ids in grouped.iter_rows()}


def _support(study: Study, joins: pl.DataFrame) -> tuple[tuple[str, ...], ...]:
    key = "create_time" if study.support_order == "newest" else "views"
    ordered = joins.sort(key, "video_id", descending=[True, False], nulls_last=True)
    return tuple(
        tuple(
            ordered.filter(pl.col("challenge") == column)["video_id"].head(
                study.support_max
            )
        )
        for column in range(len(study.challenges))
    )


def _panel(
    study: Study,
    posts: pl.DataFrame,
    joins: pl.DataFrame,
    histories: Mapping[str, tuple[str, ...]],
    pool: set[str] | None,
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Returns the panel, sorted, and the number of other users by reason."""
    joined: Counter[str] = Counter(
        joins.filter("is_past").unique(["user_id", "challenge"])["user_id"]
    )
    describing, few_posts, few_joins, panel = [], [], [], []
    for user in sorted(posts["user_id"].unique()):
        if pool is not None and user in pool:
            describing.append(user)
        elif len(histories.get(user, ())) < study.history_min:
            few_posts.append(user)
        elif joined[user] < study.min_participations:
            few_joins.append(user)
        else:
            panel.append(user)
    left_out = {
        "users who describe challenges": len(describing),
        "users with too few posts": len(few_posts),
        "users with too few participations": len(few_joins),
    }
    return tuple(panel), left_out


def _label(
    study: Study, joins: pl.DataFrame, panel: tuple[str, ...]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Returns labels and observed, both (num_users, num_challenges)."""
    shape = (len(panel), len(study.challenges))
    labels = np.zeros(shape, np.int8)
    observed = np.ones(shape, np.bool_)
    rows = {user: row for row, user in enumerate(panel)}
    for user, column, is_past in joins.select(
        "user_id", "challenge", "is_past"
    ).iter_rows():
        if user not in rows:
            continue
        is_label = study.cutoff is None or is_past is False
        if is_label:
            labels[rows[user], column] = 1
        else:
            observed[rows[user], column] = False
    labels[~observed] = 0
    return labels, observed


def _settings(study: Study, support: str) -> dict[str, Any]:
    marks = {
        challenge.name: {
            "hashtags": list(challenge.hashtags),
            "sounds": list(challenge.sounds),
        }
        for challenge in study.challenges
    }
    return study.settings() | {"support": support, "challenges": marks}
