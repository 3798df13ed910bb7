"""TikTok's own data download (user_data.json): who follows whom, and no posts.

It lists the posts of its owner without their ids, and what they watched without
authors. The lists of follows moved and changed their names over the years: they are
told by what their entries have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    Asked,
    Person,
    RawRecord,
    Source,
    Tie,
    Ties,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.values import utc_stamp

# Two of these sections make a download.
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
    """Whether the record looks like a download: its sections are objects."""
    sections = [
        key
        for key, value in record.items()
        if key.strip().casefold() in _SECTIONS and isinstance(value, dict)
    ]
    return len(sections) >= 2 or any(
        key.strip().casefold() in ("your activity", "profile and settings")
        for key in sections
    )


def read(record: RawRecord, asked: Asked) -> Ties:
    """Maps a download to who follows its owner, and whom the owner follows.

    Raises:
        UnreadablePostError: it has no such lists, or does not say whose it is.
    """
    del asked
    lists = [
        (path[-1], entries)
        for path, entries in _lists(record, ())
        if path[-1] is not None
    ]
    follows = [(is_fan, entry) for is_fan, entries in lists for entry in entries]
    if not follows:
        raise UnreadablePostError(
            "TikTok's own data download: no posts with ids in it, and no lists of "
            "follows either"
        )
    owner = _owner(record)
    if owner is None:
        raise UnreadablePostError(
            "TikTok's own data download without its owner's handle: its lists of "
            "follows do not say whose they are"
        )
    ties, notes = [], ["own_data.posts_without_ids"]
    for is_fan, entry in follows:
        fields = Fields(entry)
        other = fields.person(handle=_NAMES)
        if other is None:
            notes.append("malformed.follow")
            continue
        time = next(filter(None, (utc_stamp(entry.get(key)) for key in _DATES)), None)
        actor, target = (other, owner) if is_fan else (owner, other)
        ties.append(Tie("follow", actor, target, time=time))
    return Ties(tuple(ties), notes=tuple(dict.fromkeys(notes)))


def _lists(
    value: object, path: tuple[bool | None, ...]
) -> Iterator[tuple[tuple[bool | None, ...], list[dict[str, Any]]]]:
    """Yields the lists of follows, each with whether it is of those who follow."""
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
    """Returns whose download it is: the user name of the profile."""
    if not isinstance(value, dict) or depth > _DEPTH:
        return None
    for key, child in value.items():
        if str(key).casefold().replace(" ", "") == "profilemap" and isinstance(
            child, dict
        ):
            return Fields(child).person(handle=_NAMES)
    found = (_owner(child, depth + 1) for child in value.values())
    return next(filter(None, found), None)


SOURCE = Source(name="own_data", matches=matches, read_ties=read)
