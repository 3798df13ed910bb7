"""yt-dlp's `.info.json`: one file per video or per playlist."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    Person,
    Post,
    RawEdge,
    RawRecord,
    Source,
    UnreadablePostError,
)
from dc_keras.corpus.records import find_hashtags


def matches(record: RawRecord) -> bool:
    """Whether the record is the info of a video, complete or damaged."""
    keys = record.keys()
    # Entries of flat playlists have the third key.
    return bool({"extractor_key", "extractor", "ie_key"} & keys) and not isinstance(
        record.get("entries"), list
    )


def read(record: RawRecord) -> Post:
    """Maps the info of a video to a `Post`.

    Raises:
        UnreadablePostError: the video is of another site, or there is no valid id, or
            no author.
    """
    fields = Fields(record)
    site = fields.text("extractor", "extractor_key", "extractor", "ie_key") or ""
    if not site.casefold().startswith("tiktok"):
        raise UnreadablePostError("downloaded from another site than TikTok")
    video_id = fields.video_id("id")
    # The title is the same text, truncated.
    caption = fields.text("caption", "description", "title") or ""
    author = fields.author(
        user_id=("uploader_id",),
        handle=("uploader",),
        sec_uid=("channel_id",),
    )
    return Post(
        video_id=video_id,
        author=author,
        caption=caption,
        create_time=fields.time("create_time", "timestamp"),
        hashtags=find_hashtags(caption),
        music_id=None,  # not in this format
        music_title=fields.text("music_title", "track"),
        private_names=(
            *fields.texts("artists"),
            *fields.private_names("artist", "channel", "creator"),
        ),
        duration_s=fields.seconds("duration_s", "duration"),
        views=fields.count("views", "view_count"),
        likes=fields.count("likes", "like_count"),
        comments=fields.count("comments", "comment_count"),
        shares=fields.count("shares", "repost_count"),
        saves=fields.count("saves", "save_count"),
        is_slideshow=_is_slideshow(fields),
        edges=_replies(fields, video_id),
        account=fields.account("channel_follower_count", (), ""),
        notes=(*fields.notes, "missing.music_id"),
    )


def _is_slideshow(fields: Fields) -> bool:
    """Whether the formats have audio only, as for a series of images."""
    codecs = list(fields.texts("formats", "vcodec"))
    return bool(codecs) and set(codecs) == {"none"}


def _replies(fields: Fields, video_id: str) -> tuple[RawEdge, ...]:
    edges = []
    for entry in fields.entries("comments"):
        comment = Fields(entry if isinstance(entry, dict) else {})
        try:
            actor = comment.person(user_id=("author_id",), handle=("author",))
        except UnreadablePostError:
            actor = None
        if actor is None:
            fields.note("malformed.comment")
            continue
        time = comment.count("time", "timestamp")
        edges.append(_reply(actor, video_id, time))
    return tuple(edges)


def _reply(actor: Person, video_id: str, time: int | None) -> RawEdge:
    return RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)


SOURCE = Source(name="yt_dlp", matches=matches, read=read)
