"""Facts of posts and the past of users, for context features.

Facts are words, sounds, times and counts. Histories have no posts of the study's
challenges, because these would reveal labels. With a cutoff, the challenges that a user
joined before it are known and may be used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from dc_keras.corpus.records import hashtag_pattern, is_original_sound, word_characters
from dc_keras.study.participation import Grid

COUNTS = ("views", "likes", "comments", "shares")
ACCOUNT_COUNTS = ("followers", "total_likes", "total_posts")
_DAY = 86_400.0
NAMES = ("joined", "posts", "days")


class PostInputs(NamedTuple):
    """Raw fields of posts from a corpus or a request, as arrays or tensors.

    Attributes:
        captions: string (num_posts,).
        sounds: string (num_posts,), ids of sounds; "" where unknown.
        sound_titles: string (num_posts,); "" where unknown.
        create_times: int64 (num_posts,), UTC seconds; -1 where unknown.
        durations: float32 (num_posts,), seconds; -1 where unknown.
        counts: float32 (num_posts, 4), in the order of `COUNTS`; -1 where unknown.
    """

    captions: Any
    sounds: Any
    sound_titles: Any
    create_times: Any
    durations: Any
    counts: Any


@dataclass(frozen=True)
class PostFacts:
    """Facts of the posts of a grid, one row per post.

    Attributes:
        video_ids: ids of the posts, in row order.
        terms: terms of each post, for baselines: `#tag`, words of the caption,
            `sound:ID` (or the title if there is no id) and words of the sound's title.
        posts: the posts as input of context features.
        accounts: `ACCOUNT_COUNTS` at the time of collection by user id, float64 (3,),
            NaN where unknown; without users for whom all are unknown.
        pasts: activity before a cutoff by user id and cutoff, see `read_pasts`.
    """

    video_ids: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    posts: PostInputs
    accounts: Mapping[str, np.ndarray] = field(default_factory=dict)
    pasts: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number by video id."""
        return {video_id: row for row, video_id in enumerate(self.video_ids)}

    @property
    def sha256(self) -> str:
        """Hex digest of all facts."""
        text = json.dumps([self.video_ids, self.terms], separators=(",", ":"))
        digest = hashlib.sha256(text.encode("utf-8"))
        for column in self.posts:
            is_text = column.dtype == object
            values = b"\0".join(column) if is_text else column.tobytes()
            digest.update(values)
        for user_id, counts in sorted(self.accounts.items()):
            digest.update(user_id.encode("utf-8") + counts.tobytes())
        for (user_id, cutoff), counts in sorted(self.pasts.items()):
            digest.update(f"{user_id} {cutoff}".encode() + counts.tobytes())
        return digest.hexdigest()

    def rows(self, video_ids: Sequence[str]) -> np.ndarray:
        """Returns the row numbers of posts, int64 (num_ids,)."""
        return np.array([self.row_of[v] for v in video_ids], np.int64)


def read_facts(
    videos: pl.DataFrame,
    *grids: Grid,
    users: pl.DataFrame | None = None,
    joins: pl.DataFrame | None = None,
) -> PostFacts:
    """Reads the facts of all posts of grids.

    Args:
        videos: the corpus's table of posts.
        *grids: grids of this corpus.
        users: the corpus's table of authors; None if account counts are unknown.
        joins: posts of challenges, see `read_pasts`; None if earlier activity is
            unknown.
    """
    used = {
        video_id
        for grid in grids
        for ids in (*grid.histories, *grid.support, *grid.pool_histories)
        for video_id in ids
    }
    posts = videos.filter(pl.col("video_id").is_in(list(used))).sort("video_id")
    text = ("caption", "hashtags", "music_id", "music_title")
    return PostFacts(
        video_ids=tuple(posts["video_id"]),
        terms=tuple(_terms(*row) for row in posts.select(text).iter_rows()),
        posts=post_inputs(posts),
        accounts={} if users is None else _accounts(users, *grids),
        pasts={} if joins is None else read_pasts(videos, joins, grids),
    )


def post_inputs(posts: pl.DataFrame) -> PostInputs:
    """Returns posts of a corpus as arrays, the input of context features."""
    text = posts.select(pl.col("caption", "music_id", "music_title").fill_null(""))
    captions, sounds, titles = (
        np.array([value.encode() for value in column], object) for column in text
    )
    as_float = pl.col("duration_s", *COUNTS).cast(pl.Float32).fill_null(-1.0)
    numbers = posts.select(as_float)
    return PostInputs(
        captions,
        sounds,
        titles,
        posts["create_time"].cast(pl.Int64).fill_null(-1).to_numpy(),
        numbers["duration_s"].to_numpy(),
        numbers.select(COUNTS).to_numpy(),
    )


def _accounts(users: pl.DataFrame, *grids: Grid) -> dict[str, np.ndarray]:
    user_ids = {user for grid in grids for user in grid.users}
    rows = users.filter(pl.col("user_id").is_in(list(user_ids)))
    counts = rows.select(pl.col(ACCOUNT_COUNTS).cast(pl.Float64)).fill_null(np.nan)
    return {
        user_id: np.array(row)
        for user_id, row in zip(rows["user_id"], counts.iter_rows(), strict=True)
        if not np.isnan(row).all()
    }


def _terms(
    caption: str, hashtags: list[str], music_id: str | None, title: str | None
) -> tuple[str, ...]:
    title = (title or "").casefold().strip()
    terms = [f"#{tag}" for tag in hashtags]
    terms += _words(re.sub(hashtag_pattern(), " ", caption).casefold())
    if music_id or title:
        terms.append(f"sound:{music_id or title}")
    if title and not is_original_sound(title):
        terms += [f"title:{word}" for word in _words(title)]
    return tuple(terms)


def _words(text: str) -> list[str]:
    # `\w` lacks combining marks and would split Hindi and Thai words.
    return re.findall(f"[{word_characters()}]+", text)


def read_pasts(
    videos: pl.DataFrame, joins: pl.DataFrame, grids: Sequence[Grid]
) -> dict[tuple[str, int], np.ndarray]:
    """Returns the activity of users before the cutoffs of grids that have several.

    Args:
        videos: the corpus's table of posts; posts without a date are ignored.
        joins: one row per post of a challenge: `video_id` and the name `challenge`.
        grids: the grids.

    Returns:
        float64 (3,) in the order of `NAMES`, by user id and cutoff: number of different
        challenges joined, of those in the grid at that cutoff; number of posts; days
        from the first post to the cutoff. Only posts before the cutoff count.
    """
    known = videos.select("video_id", "user_id", "create_time").drop_nulls()
    joined = joins.join(known, on="video_id")
    pasts: dict[tuple[str, int], np.ndarray] = {}
    for grid in grids:
        for cutoff in sorted(set(grid.user_cutoffs)):
            users = _at(grid.users, grid.user_cutoffs, cutoff)
            focal = _at(grid.challenges, grid.challenge_cutoffs, cutoff)
            counts = _counts(known, joined, users, focal, cutoff)
            pasts |= {(user, cutoff): np.array(row) for user, *row in counts}
    return pasts


def find_past(pasts: Mapping[tuple[str, int], np.ndarray], grid: Grid) -> np.ndarray:
    """Returns the activity of each row of a grid, float64 (num_users, 3).

    Without `user_cutoffs`, all values are NaN.
    """
    unknown = np.full(len(NAMES), np.nan)
    if not grid.user_cutoffs:
        return np.tile(unknown, (len(grid.users), 1))
    keys = zip(grid.users, grid.user_cutoffs, strict=True)
    return np.array([pasts.get(key, unknown) for key in keys])


def _at(names: Sequence[str], cutoffs: Sequence[int], cutoff: int) -> list[str]:
    return [name for name, own in zip(names, cutoffs, strict=True) if own == cutoff]


def _counts(
    known: pl.DataFrame,
    joined: pl.DataFrame,
    users: Sequence[str],
    focal: Sequence[str],
    cutoff: int,
) -> list[tuple[str, float, float, float]]:
    """Returns user id, challenges joined, posts and days of each user."""
    is_past = pl.col("create_time") < cutoff
    posts = known.filter(is_past).group_by("user_id")
    joins = joined.filter(is_past & pl.col("challenge").is_in(focal))
    table = (
        pl.DataFrame({"user_id": users}, schema={"user_id": pl.String})
        .join(
            posts.agg(
                posts=pl.len(), days=(cutoff - pl.col("create_time").min()) / _DAY
            ),
            on="user_id",
            how="left",
        )
        .join(
            joins.group_by("user_id").agg(joined=pl.col("challenge").n_unique()),
            on="user_id",
            how="left",
        )
    )
    return table.select("user_id", pl.col(NAMES).fill_null(0).cast(pl.Float64)).rows()
