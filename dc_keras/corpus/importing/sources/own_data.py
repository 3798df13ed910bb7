"""TikTok's own data download (user_data.json), which contains follows but no posts.

It lists the posts of its owner without ids, and watched posts without authors. The
lists of follows changed their place and names over the years, so they are recognised by
the keys of their entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
from dc_keras.corpus.importing.sources.values import parse_utc_time

# A download has at least two of these sections.
_SECTIONS = frozenset(
    {"activity", "your activity", "profile", "profile and settings", "video", "post"}
    | {"likes and favorites", "comment", "direct messages", "app settings"}
    | {
        "ads and data",
        "direct message",
        "comments",
        "tik tok live",
        "tiktok live",
        "tiktok shopping",
    }
    | {"tiktok shop", "income plus", "income+ wallet transactions", "location review"}
    | {"posts", "settings", "income+ wallet", "tiktok go"}
)
_DEPTH = 8
_NAMES = ("UserName", "userName", "username", "User Name")
_DATES = ("Date", "date")


def _matches(record: RawRecord) -> bool:
    """Whether the record is a data download: its sections are objects."""
    sections = [
        key.strip().casefold()
        for key, value in record.items()
        if key.strip().casefold() in _SECTIONS and isinstance(value, dict)
    ]
    has_new_names = not {"your activity", "profile and settings"}.isdisjoint(sections)
    return len(sections) >= 2 or has_new_names


def _read(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a download to the followers of its owner and the accounts they follow."""
    follows = list(_follows(record, None))
    if not follows:
        raise UnreadablePostError(
            "TikTok's own data download: it has neither posts with ids nor lists of "
            "follows"
        )
    owner = _owner(record)
    if owner is None:
        raise UnreadablePostError(
            "TikTok's own data download without its owner's handle: the owner of its "
            "lists of follows is unknown"
        )
    edges, notes = [], ["own_data.posts_without_ids"]
    for is_follower, entry in follows:
        fields = Fields(entry)
        other = fields.person(handle=_NAMES)
        if other is None:
            notes.append("malformed.follow")
            continue
        time = next(
            filter(None, (parse_utc_time(entry.get(key)) for key in _DATES)), None
        )
        actor, target = (other, owner) if is_follower else (owner, other)
        edges.append(RawEdge("follow", actor, target, time=time))
    return RawEdges(tuple(edges), notes=tuple(dict.fromkeys(notes)))


def _follows(
    value: object, is_follower: bool | None, depth: int = 0
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Yields the entries of lists of follows, each with whether it is a follower."""
    if not isinstance(value, dict) or depth > _DEPTH:
        return
    for key, child in value.items():
        word, role = str(key).casefold(), is_follower
        if "fans" in word or "follower" in word:
            role = True
        elif "following" in word:
            role = False
        if not isinstance(child, list):
            yield from _follows(child, role, depth + 1)
        elif role is not None:
            entries = (e for e in child if isinstance(e, dict) and _has_name(e))
            yield from ((role, entry) for entry in entries)


def _has_name(entry: dict[str, Any]) -> bool:
    return any(isinstance(entry.get(name), str) for name in _NAMES)


def _owner(value: object, depth: int = 0) -> Person | None:
    if not isinstance(value, dict) or depth > _DEPTH:
        return None
    for key, child in value.items():
        if str(key).casefold().replace(" ", "") == "profilemap" and isinstance(
            child, dict
        ):
            return Fields(child).person(handle=_NAMES)
    found = (_owner(child, depth + 1) for child in value.values())
    return next(filter(None, found), None)


SOURCE = Source(name="own_data", matches=_matches, read_edges=_read)
