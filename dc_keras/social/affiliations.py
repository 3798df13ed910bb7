"""Affiliations of users with the hashtags, sounds, effects or challenges of posts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import sparse

from dc_keras.corpus.records import is_original_sound, normalize_hashtag
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.study.challenge import Challenge
from dc_keras.study.resolution import named_joins
from dc_keras.study.study import Study

KINDS = (
    *("hashtag", "sound", "effect", "challenge"),
    *("suggested-hashtag", "suggested-sound"),
)
# Hashtags that users add to gain reach, whatever the content.
_STOP_TAGS = (
    "fyp foryou foryoupage foryourpage fypシ fypage fy foru 4u viral viralvideo "
    "trending trend tiktok tiktoker xyzbca xyzcba parati paratii fürdich fuerdich "
    "pourtoi perte neiperte рекомендации рек хочуврек おすすめ おすすめにのりたい "
    "추천 추천떠라 xuhuong xh keşfet kesfet dlaciebie fypdong"
)
STOP_TAGS = frozenset(map(normalize_hashtag, _STOP_TAGS.split()))


@dataclass(frozen=True, eq=False)
class Affiliations:
    """The affiliation matrix of users and things of one kind.

    Attributes:
        kind: one of `KINDS`.
        users: keyed pseudonyms, sorted, including users without things.
        things: names, sorted: hashtags, ids or titles of sounds, effects, challenges.
        counts: number of posts of each user with each thing, float64 (num_users,
            num_things), CSR.
    """

    kind: str
    users: tuple[str, ...]
    things: tuple[str, ...]
    counts: sparse.csr_array

    @property
    def num_users_of(self) -> np.ndarray:
        """The number of users of each thing, (num_things,)."""
        return np.bincount(self.counts.indices, minlength=len(self.things))

    def without_rare(self, min_support: int) -> Affiliations:
        """Returns the affiliations without things of fewer than `min_support` users."""
        return self._select(self.num_users_of >= min_support)

    def without_common(self, max_support: int) -> Affiliations:
        """Returns the affiliations without things of more than `max_support` users."""
        return self._select(self.num_users_of <= max_support)

    def _select(self, is_kept: np.ndarray) -> Affiliations:
        kept = np.flatnonzero(is_kept)
        return replace(
            self,
            things=tuple(self.things[t] for t in kept),
            counts=sparse.csr_array(self.counts[:, kept]),
        )


@dataclass(frozen=True)
class AffiliationRule:
    """The posts and things that count as affiliations.

    Attributes:
        stop_tags: hashtags to ignore, in addition to `STOP_TAGS`.
        keep_stop_tags: whether `STOP_TAGS` are not ignored.
        start: start of the period of posts, UTC seconds, inclusive; None for all.
        end: end of the period, UTC seconds, exclusive; None for all. With `start` or
            `end`, posts without a time are ignored.
        min_participation: minimum number of uses of things of the kind per user, at
            least 1, as in CooRTweet; a post with two things counts twice. Users with
            fewer are ignored.
    """

    stop_tags: tuple[str, ...] = ()
    keep_stop_tags: bool = False
    start: int | None = None
    end: int | None = None
    min_participation: int = 1

    def stopped(self) -> frozenset[str]:
        """Returns the hashtags to ignore, normalised."""
        own = {normalize_hashtag(tag) for tag in self.stop_tags}
        return frozenset(own if self.keep_stop_tags else own | STOP_TAGS)


def find_moments(
    corpus: Corpus,
    kind: str,
    rule: AffiliationRule = AffiliationRule(),
    challenges: Collection[Challenge] = (),
) -> pl.DataFrame:
    """Returns every use of a thing of one kind by a user.

    Returns:
        `user_id`, `thing` and `time`, UTC seconds or null, one row per use.

    Raises:
        DataError: the kind is "challenge", and there are no challenges.
    """
    if kind.startswith("suggested-"):
        rows = _suggested(corpus.edges, kind.removeprefix("suggested-"))
    else:
        rows = _find_in_posts(_in_window(corpus.videos, rule), kind, challenges)
    if kind.endswith("hashtag"):
        rows = _without_stopped(rows, rule)
    if kind.endswith("sound"):
        rows = _without_own_sounds(rows, "title")
    rows = rows.drop_nulls("thing").select("user_id", "thing", "time")
    if rule.min_participation > 1:
        is_enough = pl.len().over("user_id") >= rule.min_participation
        rows = rows.filter(is_enough)
    return rows


def find_names(corpus: Corpus) -> Affiliations:
    """Returns hashtags as "#tag" and sounds as "♫ title", to name communities.

    Original sounds and sounds without a title are left out.
    """
    tags = find_moments(corpus, "hashtag")
    titles = corpus.videos.select("user_id", thing="music_title").drop_nulls("thing")
    titles = _without_own_sounds(titles, "thing")
    named = [
        rows.select("user_id", thing=pl.lit(mark) + pl.col("thing"))
        for mark, rows in (("#", tags), ("♫ ", titles))
    ]
    return count_affiliations("name", corpus.users["user_id"], pl.concat(named))


def encode_moments(
    moments: pl.DataFrame, users: Iterable[str], things: Iterable[str]
) -> pl.DataFrame:
    """Replaces the ids of users and things by their positions.

    Returns:
        The rows of these users and things, with `user` and `thing` as Int64.
    """
    for column, code, names in (("user_id", "user", users), ("thing", "thing", things)):
        known = pl.Series(list(names), dtype=pl.String)
        moments = moments.filter(pl.col(column).is_in(known.implode()))
        rows = known.search_sorted(moments[column]).cast(pl.Int64)
        moments = moments.drop(column).with_columns(rows.alias(code))
    return moments


def count_affiliations(
    kind: str, users: Iterable[str], rows: pl.DataFrame
) -> Affiliations:
    """Counts the uses of each thing by each user.

    `rows` has `user_id` and `thing`, one row per use; other users are ignored.
    """
    user_ids = sorted(set(users))
    known = pl.Series(user_ids, dtype=pl.String)
    rows = rows.filter(pl.col("user_id").is_in(known.implode()))
    things = rows["thing"].unique().sort()
    coded = encode_moments(rows, user_ids, things)
    place = (coded["user"].to_numpy(), coded["thing"].to_numpy())
    shape = (len(user_ids), len(things))
    counts = sparse.coo_array((np.ones(coded.height), place), shape).tocsr()
    counts.sum_duplicates()
    counts.sort_indices()
    return Affiliations(kind, tuple(user_ids), tuple(things), counts)


def _in_window(videos: pl.DataFrame, rule: AffiliationRule) -> pl.DataFrame:
    time = pl.col("create_time")
    if rule.start is not None:
        videos = videos.filter(time >= rule.start)
    return videos if rule.end is None else videos.filter(time < rule.end)


def _without_stopped(rows: pl.DataFrame, rule: AffiliationRule) -> pl.DataFrame:
    return rows.filter(~pl.col("thing").is_in(sorted(rule.stopped())))


def _without_own_sounds(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Returns the rows without titles of original sounds, which half of users share."""
    titles = rows[column].unique().drop_nulls()
    own = titles.filter(titles.map_elements(is_original_sound, pl.Boolean))
    return rows.filter(~pl.col(column).is_in(own.implode()).fill_null(False))


def _find_in_posts(
    videos: pl.DataFrame, kind: str, challenges: Collection[Challenge]
) -> pl.DataFrame:
    user, time = pl.col("user_id"), pl.col("create_time").alias("time")
    if kind == "hashtag":
        return _explode(videos, "hashtags")
    if kind == "effect":
        return _explode(videos, "effects")
    if kind == "sound":
        name = pl.coalesce("music_id", "music_title").alias("thing")
        return videos.select(user, time, name, pl.col("music_title").alias("title"))
    if not challenges:
        raise DataError("co-challenge edges need the challenges of a Study")
    joins = named_joins(Study("graph", tuple(challenges)), videos)
    posts = videos.select("video_id", user, time)
    return joins.rename({"challenge": "thing"}).join(posts, on="video_id")


def _explode(videos: pl.DataFrame, column: str) -> pl.DataFrame:
    time = pl.col("create_time").alias("time")
    things = videos.select("user_id", time, pl.col(column).alias("thing"))
    return things.explode("thing").drop_nulls("thing")


def _suggested(edges: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Returns suggestions to users; a sound is identified by its id or its title."""
    targets = ("sound", "sound_title") if kind == "sound" else ("hashtag",)
    rows = edges.filter(
        (pl.col("kind") == "suggested") & pl.col("target_type").is_in(targets)
    ).drop_nulls("user_id")
    is_title = pl.col("target_type") == "sound_title"
    target = pl.col("target_id")
    title = pl.when(is_title).then(target).alias("title")
    return rows.select("user_id", "time", target.alias("thing"), title)
