"""Merges the exports of a post into one record: newest counts, oldest caption.

Posts are edited, and their counts grow. People joined a challenge with the first
caption, so the oldest one is kept; the newest counts are kept. Age is given by
`collected_at`; exports without it count as the oldest. Fields that the preferred export
lacks are taken from the other.
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
    """Returns a table with one row per post, sorted by video_id.

    Args:
        table: the fields of `Video`; all exports of a post are adjacent, in order of
            arrival.
        handle_only: see `merge_videos`.

    Returns:
        The table, and the number of exports, by source, whose author differs.
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
    """Returns the merged record of two exports of the same post.

    Merging a record with itself returns the record. The order of the exports matters
    only if they have the same `collected_at`; `first` then counts as older. An author
    id other than those in `handle_only`, which stand for a handle, is preferred.
    """
    older, newer = sorted((first, second), key=_caption_time)
    older_counts, newer_counts = sorted((first, second), key=_counts_sort_key)
    has_caption = bool(older.caption) or bool(older.hashtags)
    captioned = older if has_caption else newer
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Video):
        name = field.name
        if name in _NEWEST:
            values[name] = _first_known(name, newer_counts, older_counts)
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


def _caption_time(video: Video) -> int:
    return -1 if video.first_collected_at is None else video.first_collected_at


def _counts_sort_key(video: Video) -> tuple[int, ...]:
    # At equal times, the record with more plays is newer, because plays only grow. The
    # other counts ensure that different records have different keys.
    counts = (getattr(video, name) for name in ("collected_at", *_COUNTS))
    return tuple(-1 if count is None else count for count in counts)
