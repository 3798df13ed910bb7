"""The platform's suggestions next to a user: other users, hashtags, sounds.

They are the edges of whichtok's graph. An answer does not contain the user it was
requested for; a line of `pipelines.collect` does.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RawEdges,
    RawRecord,
    RequestContext,
    Source,
    UnreadablePostError,
)


def matches(record: RawRecord) -> bool:
    """Whether the record is a suggestion, complete or damaged."""
    return "extraInfo" in record


def read(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a suggestion to an edge from the user it belongs to.

    Raises:
        UnreadablePostError: the suggested item has neither an id nor a name.
    """
    fields = Fields(record)
    target, target_type = _target(fields)
    if context.seed is None:
        fields.note("missing.seed")
    edge = RawEdge("suggested", context.seed, target, target_type)
    return RawEdges((edge,), notes=fields.notes)


def _target(fields: Fields) -> tuple[Person | str, str]:
    if fields.has("extraInfo.challengeName") or fields.has("extraInfo.challengeId"):
        name = fields.text("hashtag", "extraInfo.challengeName", "title")
        if name is not None:
            return name, "hashtag"
    elif fields.has("extraInfo.musicId"):
        sound = fields.identifier("music_id", "extraInfo.musicId")
        if sound is not None and sound.isdecimal():
            return sound, "sound"
    else:
        user = fields.person(
            user_id=("extraInfo.userId",),
            handle=("subTitle",),
            sec_uid=("extraInfo.secUid",),
        )
        if user is not None:
            return user, "user"
    raise UnreadablePostError("a suggestion without an id or a name")


SOURCE = Source(name="suggested", matches=matches, read_edges=read)
