"""Posts and comments of tikwm.com, and of RapidAPI services with the same format.

The id is `video_id`, or `id` for a single post; `aweme_id` is the name of a file.
Durations are in seconds, unlike in the answers of the app.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.post import RawRecord, Source

_PATHS = mapped.Paths(
    video_id=("video_id", "id"),
    user_id=("author.id", "author.uid"),
    handle=("author.unique_id",),
    sec_uid=("author.sec_uid",),
    caption=("title",),
    create_time=("create_time",),
    music_id=("music_info.id",),
    music_title=("music_info.title",),
    music_is_original=("music_info.original",),
    names=("author.nickname", "music_info.author"),
    duration_s=("duration",),
    views=("play_count",),
    likes=("digg_count",),
    comments=("comment_count",),
    shares=("share_count",),
    saves=("collect_count",),
    region=("region",),
    images=("images",),
    followers="author.follower_count",
    total_likes=("author.total_favorited",),
    total_posts="author.aweme_count",
)
_DISTINCTIVE = frozenset(
    {"music_info", "wmplay", "origin_cover", "play", "wm_size", "musicInfo"}
    | {"originCover", "wmSize"}
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a post of this format, complete or damaged."""
    keys = record.keys()
    return "statistics" not in keys and (
        len(_DISTINCTIVE & keys) >= 2 or ("music_info" in keys and "play_count" in keys)
    )


SOURCE = Source(name="tikwm", matches=matches, read=_PATHS.read)
