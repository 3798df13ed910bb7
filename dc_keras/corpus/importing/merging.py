"""Two exports of one post become one record: newest counts, oldest caption.

A post is edited, and its plays grow: the caption that people joined with is the first
one seen, and the counts that say most are the last. Which export is older is told by
`collected_at`; one that does not say is the oldest of all. What the preferred export
lacks is taken from the other.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection
from functools import reduce
from typing import Any

import polars as pl

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import rows_of, table_of

_COUNTS = ("views", "likes", "comments", "shares", "saves")
_NEWEST = (*_COUNTS, "collected_at")
_CAPTION = ("caption", "hashtags", "mentions", "first_collected_at")


def merge_table(
    table: pl.DataFrame, *, handle_only: Collection[str] = ()
) -> tuple[pl.DataFrame, Counter[str]]:
    """Returns a table with one row a post.

    Args:
        table: the fields of `Video`, all exports of a post next to each other, the
            older arrival first.
        handle_only: as of `merge_videos`.

    Returns:
        The table, sorted by video_id, and of how many exports, by source, the author
        is another one than that of the export before.
    """
    conflicts: Counter[str] = Counter()
    is_repeated = table["video_id"].is_duplicated()
    if not is_repeated.any():
        return table, conflicts
    exports: dict[str, list[Video]] = {}
    for video in rows_of(Video, table.filter(is_repeated)):
        exports.setdefault(video.video_id, []).append(video)
    for first, *others in exports.values():
        conflicts.update(
            video.source
            for video in others
            if video.user_id != first.user_id
            and video.user_id not in handle_only
            and first.user_id not in handle_only
        )
    merged = (
        reduce(lambda a, b: merge_videos(a, b, handle_only=handle_only), videos)
        for videos in exports.values()
    )
    whole = pl.concat([table.filter(~is_repeated), table_of(Video, merged)])
    return whole.sort("video_id"), conflicts


def merge_videos(
    first: Video, second: Video, *, handle_only: Collection[str] = ()
) -> Video:
    """Returns the one record of two exports of the same post.

    Merging a record with itself gives the record. As long as no two exports share a
    `collected_at`, their order does not matter; where two do, `first` is the older.

    Args:
        first: the record that was there before.
        second: the record that comes in.
        handle_only: user ids that stand for a handle; another id of the same post's
            author is the better one.
    """
    older, newer = sorted((first, second), key=_caption_age)
    staler, fresher = sorted((first, second), key=_counts_age)
    has_caption = bool(older.caption) or bool(older.hashtags)
    captioned = older if has_caption else newer
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Video):
        name = field.name
        if name in _NEWEST:
            values[name] = _first_known(name, fresher, staler)
        elif name in _CAPTION:
            values[name] = getattr(captioned, name)
        else:
            values[name] = _first_known(name, older, newer)
    values["user_id"] = min(
        (older.user_id, newer.user_id), key=lambda user_id: user_id in handle_only
    )
    values["is_slideshow"] = older.is_slideshow or newer.is_slideshow
    return Video(**values)


def _first_known(name: str, preferred: Video, other: Video) -> Any:
    value = getattr(preferred, name)
    return getattr(other, name) if value is None or value == () else value


def _caption_age(video: Video) -> int:
    return -1 if video.first_collected_at is None else video.first_collected_at


def _counts_age(video: Video) -> tuple[int, ...]:
    # At equal age the one with more plays is the newer: plays only grow. The other
    # counts are here so that no two different records are equal.
    counts = (getattr(video, name) for name in ("collected_at", *_COUNTS))
    return tuple(-1 if count is None else count for count in counts)
