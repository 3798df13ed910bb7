"""yt-dlp's `.info.json`: one file per video or per playlist."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import Paths, with_changes
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawEdge,
    RawRecord,
    Source,
    UnreadablePostError,
)


def matches(record: RawRecord) -> bool:
    """Whether the record is the info of a video, complete or damaged."""
    keys = record.keys()
    # Entries of flat playlists have the third key.
    return bool({"extractor_key", "extractor", "ie_key"} & keys) and not isinstance(
        record.get("entries"), list
    )


# The title is the description, truncated.
_PATHS = Paths.of(
    """
    video_id=id user_id=uploader_id handle=uploader sec_uid=channel_id
    caption=description,title create_time=timestamp music_title=track
    names=artists,artist,channel,creator duration_s=duration views=view_count
    likes=like_count comments=comment_count shares=repost_count saves=save_count
    followers=channel_follower_count
    """
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
    post = _PATHS.read_fields(fields)
    # The formats of a series of images have audio only.
    codecs = set(fields.texts("formats", "vcodec"))
    edges = _replies(fields, post.video_id)
    return with_changes(post, fields, is_slideshow=codecs == {"none"}, edges=edges)


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
        edges.append(
            RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)
        )
    return tuple(edges)


SOURCE = Source(name="yt_dlp", matches=matches, read=read)
