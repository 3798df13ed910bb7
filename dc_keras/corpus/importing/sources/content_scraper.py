"""TikTok-Content-Scraper's file of a post: five blocks of metadata.

Its times have no time zone, so the posting time is taken from the id. Its mentions are
user ids, not handles, and its lists of hashtags may lack hashtags of the caption.
"""

from __future__ import annotations

import msgspec

from dc_keras.corpus.importing.sources import mapped
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source
from dc_keras.corpus.records import find_hashtags

_PATHS = mapped.Paths(
    video_id=("video_metadata.id", "file_metadata.id"),
    user_id=("author_metadata.id", "video_metadata.author_id"),
    handle=("author_metadata.username",),
    caption=("video_metadata.description",),
    create_time=("video_metadata.time_created",),
    tags=("video_metadata.hashtags", "hashtags_metadata"),
    music_id=("music_metadata.id", "video_metadata.music_id"),
    music_title=("music_metadata.title",),
    music_is_original=("music_metadata.original",),
    names=("author_metadata.name", "music_metadata.author_name"),
    duration_s=("file_metadata.duration",),
    views=("video_metadata.playcount",),
    likes=("video_metadata.diggcount",),
    comments=("video_metadata.commentcount",),
    shares=("video_metadata.sharecount",),
    saves=("video_metadata.collectcount",),
    region=("video_metadata.location_created",),
    effects=("video_metadata.effect_stickers",),
    language=("video_metadata.text_language",),
    images=("file_metadata.is_slide", "file_metadata.picture_formats"),
    followers="author_metadata.followercount",
    total_likes=("author_metadata.heartcount",),
    total_posts="author_metadata.videocount",
)
_IDS = (
    *("video_metadata.id", "video_metadata.author_id", "video_metadata.music_id"),
    *("music_metadata.id", "author_metadata.id"),
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a file of this format, complete or damaged."""
    return "video_metadata" in record and bool(
        {"file_metadata", "author_metadata", "music_metadata"} & record.keys()
    )


def read(record: RawRecord) -> Post:
    """Maps the blocks to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    post = _PATHS.read(record, witnesses=_IDS)
    if post.hashtags:
        return post
    return msgspec.structs.replace(post, hashtags=find_hashtags(post.caption))


SOURCE = Source(name="content_scraper", matches=matches, read=read)
