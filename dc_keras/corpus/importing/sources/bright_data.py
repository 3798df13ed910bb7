"""Bright Data's dataset of posts."""

from __future__ import annotations

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.post import RawRecord, Source

_PATHS = mapped.Paths(
    video_id=("post_id",),
    user_id=("profile_id",),
    handle=("profile_username", "account_id"),
    caption=("description",),
    create_time=("create_time",),
    tags=("hashtags",),
    mentions=("tagged_user",),
    music_id=("music.id", "music_id"),
    music_title=("music.title", "original_sound"),
    music_is_original=("music.original",),
    names=("music.authorname",),
    duration_s=("video_duration",),
    views=("play_count",),
    likes=("digg_count",),
    comments=("comment_count",),
    shares=("share_count",),
    saves=("collect_count",),
    region=("region",),
    images=("carousel_images",),
    followers="profile_followers",
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a post of this format, complete or damaged."""
    keys = record.keys()
    return "cid" not in keys and (
        "profile_username" in keys
        or ("post_id" in keys and bool({"digg_count", "play_count"} & keys))
    )


SOURCE = Source(name="bright_data", matches=matches, read=_PATHS.read)
