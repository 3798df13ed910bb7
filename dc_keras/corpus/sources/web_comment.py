"""Comments as the web and the app answer them: who replied to which post."""

from __future__ import annotations

from dc_keras.corpus.sources.fields import Fields
from dc_keras.corpus.sources.post import (
    Asked,
    RawRecord,
    Source,
    Tie,
    Ties,
    UnreadablePostError,
)


def matches(record: RawRecord) -> bool:
    """Whether the record looks like a comment."""
    return "cid" in record and "aweme_id" in record


def read(record: RawRecord, asked: Asked) -> Ties:
    """Maps a comment to the tie between its author and the post.

    Raises:
        UnreadablePostError: no usable post id, or no author.
    """
    del asked
    fields = Fields(record)
    video_id = fields.video_id("aweme_id")
    actor = fields.person(
        user_id=("user.uid",),
        handle=("user.unique_id", "username", "unique_id"),
        sec_uid=("user.sec_uid",),
    )
    if actor is None:
        raise UnreadablePostError("a comment without an author")
    time = fields.count("create_time", "create_time")
    tie = Tie("reply", actor, video_id, "video", video_id=video_id, time=time)
    return Ties((tie,), notes=fields.notes)


SOURCE = Source(name="web_comment", matches=matches, read_ties=read)
