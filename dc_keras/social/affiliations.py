"""Who has what: users and the tags, sounds, effects, challenges of their posts."""

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

KINDS = (
    *("hashtag", "sound", "effect", "challenge"),
    *("suggested-hashtag", "suggested-sound"),
)
# What people add to be shown, whatever the post is about.
_STOP_TAGS = (
    "fyp foryou foryoupage foryourpage fypシ fypage fy foru 4u viral viralvideo "
    "trending trend tiktok tiktoker xyzbca xyzcba parati paratii fürdich fuerdich "
    "pourtoi perte neiperte рекомендации рек хочуврек おすすめ おすすめにのりたい "
    "추천 추천떠라 xuhuong xh keşfet kesfet dlaciebie fypdong"
)
STOP_TAGS = frozenset(map(normalize_hashtag, _STOP_TAGS.split()))


@dataclass(frozen=True, eq=False)
class Belongings:
    """Users and the things of one kind that they have.

    Attributes:
        kind: one of `KINDS`.
        users: keyed pseudonyms, sorted; also those who have nothing.
        things: names, sorted: tags, ids or titles of sounds, effects, challenges.
        counts: float64 (num_users, num_things), CSR: in how many posts.
    """

    kind: str
    users: tuple[str, ...]
    things: tuple[str, ...]
    counts: sparse.csr_array

    @property
    def num_users_of(self) -> np.ndarray:
        """How many users have each thing, (num_things,)."""
        return np.bincount(self.counts.indices, minlength=len(self.things))

    def without_rare(self, min_support: int) -> Belongings:
        """Leaves out things that fewer users have."""
        return self._only(self.num_users_of >= min_support)

    def without_common(self, max_support: int) -> Belongings:
        """Leaves out things that more users have."""
        return self._only(self.num_users_of <= max_support)

    def _only(self, is_kept: np.ndarray) -> Belongings:
        kept = np.flatnonzero(is_kept)
        return replace(
            self,
            things=tuple(self.things[t] for t in kept),
            counts=sparse.csr_array(self.counts[:, kept]),
        )


@dataclass(frozen=True)
class BelongingsRule:
    """What counts as having something.

    Attributes:
        stop_tags: hashtags that say nothing, beside `STOP_TAGS`.
        keep_stop_tags: whether `STOP_TAGS` count after all.
        keep_original_sounds: whether a sound that the platform calls somebody's own
            counts; half of all users share that title, in whatever language.
        start: first posting time that counts, UTC seconds; None from the beginning.
        end: first one that does not; None to the end. A post without a time counts only
            where neither is given.
        min_participation: posts with a thing of the kind that a user must have for any
            of them to count, at least 1; a post with two things counts twice.
    """

    stop_tags: tuple[str, ...] = ()
    keep_stop_tags: bool = False
    keep_original_sounds: bool = False
    start: int | None = None
    end: int | None = None
    min_participation: int = 1

    def stopped(self) -> frozenset[str]:
        """Returns the hashtags that do not count, normalised."""
        own = {normalize_hashtag(tag) for tag in self.stop_tags}
        return frozenset(own if self.keep_stop_tags else own | STOP_TAGS)


def find_belongings(
    corpus: Corpus,
    kind: str,
    rule: BelongingsRule = BelongingsRule(),
    challenges: Collection[Challenge] = (),
) -> Belongings:
    """Returns who has what of one kind; see `find_moments`."""
    moments = find_moments(corpus, kind, rule, challenges)
    return count_belongings(kind, corpus.users["user_id"], moments)


def find_moments(
    corpus: Corpus,
    kind: str,
    rule: BelongingsRule = BelongingsRule(),
    challenges: Collection[Challenge] = (),
) -> pl.DataFrame:
    """Returns who had what of one kind, and when.

    Args:
        corpus: whose posts and ties are read.
        kind: one of `KINDS`.
        rule: what counts.
        challenges: of the Study, for "challenge".

    Returns:
        `user_id`, `thing` and `time`, UTC seconds or null, a row a time.

    Raises:
        DataError: `kind` is none of them, or there are no challenges to look for.
    """
    if kind.startswith("suggested-"):
        rows = _suggested(corpus.edges, kind.removeprefix("suggested-"))
    else:
        rows = _of_posts(_in_window(corpus.videos, rule), kind, challenges)
    if kind.endswith("hashtag"):
        rows = _without_stopped(rows, rule)
    if kind.endswith("sound") and not rule.keep_original_sounds:
        rows = _without_own_sounds(rows, "title")
    rows = rows.drop_nulls("thing").select("user_id", "thing", "time")
    if rule.min_participation > 1:
        is_enough = pl.len().over("user_id") >= rule.min_participation
        rows = rows.filter(is_enough)
    return rows


def telling_names(
    corpus: Corpus, rule: BelongingsRule = BelongingsRule()
) -> Belongings:
    """Returns who has what by names that people can read, to name communities with.

    Args:
        corpus: whose posts are read.
        rule: what counts.

    Returns:
        Hashtags as "#tag" and sounds as "♫ title", those called "original sound" and
        those without a title left out.
    """
    videos = _in_window(corpus.videos, rule)
    tags = _without_stopped(_exploded(videos, "hashtags"), rule)
    title = pl.col("music_title").alias("thing")
    titles = videos.select("user_id", pl.col("create_time").alias("time"), title)
    titles = titles.drop_nulls("thing")
    titles = _without_own_sounds(titles, "thing")
    named = [
        rows.with_columns((pl.lit(mark) + pl.col("thing")).alias("thing"))
        for mark, rows in (("#", tags), ("♫ ", titles))
    ]
    return count_belongings("name", corpus.users["user_id"], pl.concat(named))


def code_moments(
    moments: pl.DataFrame, users: Iterable[str], things: Iterable[str]
) -> pl.DataFrame:
    """Returns moments by rows of users and things; those of others are left out.

    Args:
        moments: `user_id`, `thing` and more.
        users: sorted.
        things: sorted.

    Returns:
        `user` and `thing` as Int64, and the other columns.
    """
    for column, code, names in (("user_id", "user", users), ("thing", "thing", things)):
        known = pl.Series(list(names), dtype=pl.String)
        moments = moments.filter(pl.col(column).is_in(known.implode()))
        rows = known.search_sorted(moments[column]).cast(pl.Int64)
        moments = moments.drop(column).with_columns(rows.alias(code))
    return moments


def count_belongings(kind: str, users: Iterable[str], rows: pl.DataFrame) -> Belongings:
    """Returns how often each user has each thing.

    Args:
        kind: the kind.
        users: everybody.
        rows: `user_id` and `thing`, a row a time; of others than `users` left out.
    """
    everybody = sorted(set(users))
    known = pl.Series(everybody, dtype=pl.String)
    rows = rows.filter(pl.col("user_id").is_in(known.implode()))
    things = rows["thing"].unique().sort()
    coded = code_moments(rows, everybody, things)
    place = (coded["user"].to_numpy(), coded["thing"].to_numpy())
    shape = (len(everybody), len(things))
    counts = sparse.coo_array((np.ones(coded.height), place), shape).tocsr()
    counts.sum_duplicates()
    counts.sort_indices()
    return Belongings(kind, tuple(everybody), tuple(things), counts)


def _in_window(videos: pl.DataFrame, rule: BelongingsRule) -> pl.DataFrame:
    time = pl.col("create_time")
    if rule.start is not None:
        videos = videos.filter(time >= rule.start)
    return videos if rule.end is None else videos.filter(time < rule.end)


def _without_stopped(rows: pl.DataFrame, rule: BelongingsRule) -> pl.DataFrame:
    return rows.filter(~pl.col("thing").is_in(sorted(rule.stopped())))


def _without_own_sounds(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """Leaves out rows whose title says that a sound is somebody's own."""
    titles = rows[column].unique().drop_nulls()
    own = titles.filter(titles.map_elements(is_original_sound, pl.Boolean))
    return rows.filter(~pl.col(column).is_in(own.implode()).fill_null(False))


def _of_posts(
    videos: pl.DataFrame, kind: str, challenges: Collection[Challenge]
) -> pl.DataFrame:
    user, time = pl.col("user_id"), pl.col("create_time").alias("time")
    if kind == "hashtag":
        return _exploded(videos, "hashtags")
    if kind == "effect":
        return _exploded(videos, "effects")
    if kind == "sound":
        name = pl.coalesce("music_id", "music_title").alias("thing")
        return videos.select(user, time, name, pl.col("music_title").alias("title"))
    if kind != "challenge":
        raise DataError(
            f"kind must be one of {', '.join(KINDS)}. Received: kind={kind}"
        )
    if not challenges:
        raise DataError("co-challenge ties need the challenges of a Study")
    found = []
    for challenge in challenges:
        tags, sounds = (
            pl.Series(list(names), dtype=pl.String)
            for names in (challenge.hashtags, challenge.sounds)
        )
        has_tag = pl.col("hashtags").list.set_intersection(tags.implode())
        is_in = has_tag.list.len() > 0
        is_in |= pl.col("music_id").is_in(sounds.implode()).fill_null(False)
        name = pl.lit(challenge.name).alias("thing")
        found.append(videos.filter(is_in).select(user, time, name))
    return pl.concat(found)


def _exploded(videos: pl.DataFrame, column: str) -> pl.DataFrame:
    time = pl.col("create_time").alias("time")
    things = videos.select("user_id", time, pl.col(column).alias("thing"))
    return things.explode("thing").drop_nulls("thing")


def _suggested(ties: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Returns what was suggested to whom; a sound goes by its id or its title."""
    targets = ("sound", "sound_title") if kind == "sound" else ("hashtag",)
    rows = ties.filter(
        (pl.col("kind") == "suggested") & pl.col("target_type").is_in(targets)
    ).drop_nulls("user_id")
    is_title = pl.col("target_type") == "sound_title"
    target = pl.col("target_id")
    title = pl.when(is_title).then(target).alias("title")
    return rows.select("user_id", "time", target.alias("thing"), title)
