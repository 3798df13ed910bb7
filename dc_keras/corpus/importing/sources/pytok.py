"""pytok's table of videos, which contains the originals of duets and stitches."""

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
    """Whether the record is a row of the table."""
    keys = record.keys()
    return "createtime" in keys and "video_id" in keys


_PATHS = Paths.of(
    """
    video_id=video_id user_id=author_id handle=author_name caption=desc
    create_time=createtime tags=hashtags mentions=mentions views=view_count
    likes=digg_count comments=comment_count shares=share_count
    """
)


def read(record: RawRecord) -> Post:
    """Maps a row to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record)
    post = _PATHS.read_fields(fields)
    shared = fields.optional_identifier("shared_video", "share_video_id")
    kind = _share_kind(fields) if shared is not None else None
    return with_changes(
        post,
        fields,
        duet_of=shared if kind == "duet" else None,
        stitch_of=shared if kind == "stitch" else None,
        edges=_made_from(fields, kind, post),
    )


def _share_kind(fields: Fields) -> str | None:
    kind = (fields.text("share_type", "share_type") or "").casefold()
    if kind in ("duet", "stitch"):
        return kind
    fields.note("malformed.share_type")
    return None


def _made_from(fields: Fields, kind: str | None, post: Post) -> tuple[RawEdge, ...]:
    """Returns the edge to the author of the original, which the corpus may lack."""
    if kind is None:
        return ()
    try:
        other = fields.person(user_id=("share_video_user_id",))
    except UnreadablePostError:
        fields.note("rounded.share_video_user_id")
        return ()
    if other is None:
        return ()
    return (RawEdge(kind, post.author, other, video_id=post.video_id),)


SOURCE = Source(name="pytok", matches=matches, read=read)
