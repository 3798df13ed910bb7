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
    | {
        "likes and favorites",
        "comment",
        "direct messages",
        "app settings",
        "ads and data",
    }
    | {"direct message", "comments", "tik tok live", "tiktok live", "tiktok shopping"}
    | {"tiktok shop", "income plus", "income+ wallet transactions", "location review"}
    | {"posts", "settings", "income+ wallet", "tiktok go"}
)
_DEPTH = 8
_NAMES = ("UserName", "userName", "username", "User Name")
_DATES = ("Date", "date")


def matches(record: RawRecord) -> bool:
    """Whether the record is a data download: its sections are objects."""
    sections = [
        key
        for key, value in record.items()
        if key.strip().casefold() in _SECTIONS and isinstance(value, dict)
    ]
    return len(sections) >= 2 or any(
        key.strip().casefold() in ("your activity", "profile and settings")
        for key in sections
    )


def read(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a download to the followers of its owner and the accounts they follow.

    Raises:
        UnreadablePostError: there are no lists of follows, or no handle of the owner.
    """
    del context
    lists = [
        (path[-1], entries)
        for path, entries in _lists(record, ())
        if path[-1] is not None
    ]
    follows = [
        (is_follower, entry) for is_follower, entries in lists for entry in entries
    ]
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


def _lists(
    value: object, path: tuple[bool | None, ...]
) -> Iterator[tuple[tuple[bool | None, ...], list[dict[str, Any]]]]:
    """Yields the lists of follows, each with whether it is a list of followers."""
    if not isinstance(value, dict) or len(path) > _DEPTH:
        return
    for key, child in value.items():
        word = str(key).casefold()
        role = path[-1] if path else None
        if "fans" in word or "follower" in word:
            role = True
        elif "following" in word:
            role = False
        if isinstance(child, list):
            entries = [e for e in child if isinstance(e, dict) and _has_name(e)]
            if entries and role is not None:
                yield (*path, role), entries
        else:
            yield from _lists(child, (*path, role))


def _has_name(entry: dict[str, Any]) -> bool:
    return any(isinstance(entry.get(name), str) for name in _NAMES)


def _owner(value: object, depth: int = 0) -> Person | None:
    """Returns the owner of a download: the user name of the profile."""
    if not isinstance(value, dict) or depth > _DEPTH:
        return None
    for key, child in value.items():
        if str(key).casefold().replace(" ", "") == "profilemap" and isinstance(
            child, dict
        ):
            return Fields(child).person(handle=_NAMES)
    found = (_owner(child, depth + 1) for child in value.values())
    return next(filter(None, found), None)


SOURCE = Source(name="own_data", matches=matches, read_edges=read)
