"""Simple tables of posts: that of the TikTok-Api tutorials, and TikTok-10M."""

from __future__ import annotations

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.post import RawRecord, Source

_TUTORIAL = mapped.Paths(
    video_id=("video_id",),
    user_id=("user_id",),
    handle=("user_name",),
    caption=("video_desc",),
    create_time=("video_time",),
    duration_s=("video_length",),
    views=("n_plays",),
    likes=("n_likes",),
    comments=("n_comments",),
    shares=("n_shares",),
)
_TIKTOK_10M = mapped.Paths(
    video_id=("id",),
    user_id=("user_id", "author_id"),
    handle=("username", "user_name", "author"),
    caption=("desc",),
    create_time=("create_time",),
    tags=("challenges",),
    music_title=("music_name",),
    duration_s=("duration",),
    views=("play_count",),
    likes=("digg_count",),
    comments=("comment_count",),
    shares=("share_count",),
    saves=("collect_count",),
)


def matches_tutorial(record: RawRecord) -> bool:
    """Whether the record is a `simple_dict` of the tutorials."""
    keys = record.keys()
    return "video_id" in keys and bool(
        {"n_plays", "n_likes", "video_time", "video_length"} & keys
        and {"n_plays", "video_desc"} & keys
    )


def matches_tiktok_10m(record: RawRecord) -> bool:
    """Whether the record is a row of TikTok-10M, with flat counts."""
    keys = record.keys()
    return {"id", "desc", "play_count"} <= keys and "aweme_id" not in keys


TUTORIAL = Source(name="simple_dict", matches=matches_tutorial, read=_TUTORIAL.read)
TIKTOK_10M = Source(
    name="tiktok_10m", matches=matches_tiktok_10m, read=_TIKTOK_10M.read
)
