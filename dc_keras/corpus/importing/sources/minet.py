"""minet's table of posts, with lists separated by |."""

from __future__ import annotations

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.post import RawRecord, Source

_PATHS = mapped.Paths(
    video_id=("id", "video_id"),
    user_id=("author_id",),
    handle=("author_unique_id",),
    caption=("description",),
    create_time=("timestamp",),
    tags=("challenges_titles",),
    music_id=("music_id",),
    music_title=("music_title",),
    music_is_original=("music_original",),
    names=("author_nickname", "music_author_name"),
    duration_s=("video_duration",),
    views=("play_count",),
    likes=("digg_count",),
    comments=("comment_count",),
    shares=("share_count",),
    saves=("collect_count",),
    duet_of=("duet_from_video_id",),
    effects=("effect_stickers_names",),
    followers="author_follower_count",
    total_likes=("author_heart_count",),
    total_posts="author_video_count",
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a row of the table."""
    keys = record.keys()
    return "author_unique_id" in keys and bool(
        {"challenges_titles", "digg_count", "effect_stickers_names"} & keys
    )


SOURCE = Source(name="minet", matches=matches, read=_PATHS.read)
