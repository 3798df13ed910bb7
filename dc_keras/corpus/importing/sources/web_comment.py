"""Comments in the format of the web and the app: which user replied to which post."""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    RawEdge,
    RawEdges,
    RawRecord,
    RequestContext,
    Source,
    UnreadablePostError,
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a comment."""
    return "cid" in record and "aweme_id" in record


def read(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a comment and its replies to edges from their authors to the post.

    Raises:
        UnreadablePostError: there is no valid post id, or no author.
    """
    del context
    fields = Fields(record)
    video_id = fields.video_id("aweme_id")
    edges = [_edge(fields, video_id)]
    for answer in fields.entries("reply_comment"):
        if isinstance(answer, dict):
            try:
                edges.append(_edge(Fields(answer), video_id))
            except UnreadablePostError:
                fields.note("malformed.reply_comment")
    return RawEdges(tuple(edges), notes=fields.notes)


def _edge(fields: Fields, video_id: str) -> RawEdge:
    actor = fields.person(
        user_id=("user.uid",),
        handle=("user.unique_id", "username", "unique_id", "user"),
        sec_uid=("user.sec_uid",),
    )
    if actor is None:
        raise UnreadablePostError("a comment without an author")
    time = fields.time("create_time", "create_time")
    return RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)


SOURCE = Source(name="web_comment", matches=matches, read_edges=read)
