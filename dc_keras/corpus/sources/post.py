"""What a source module makes of one raw record, before pseudonyms and merging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

RawRecord: TypeAlias = Mapping[str, Any]


class UnreadablePostError(ValueError):
    """A record that cannot become a post; the message is the reason for quarantine.

    The message never repeats the record's content, because that is people's data.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post with its author's identity in the clear: lives in memory only.

    Attributes:
        video_id: digits.
        author_id: the platform's user id; None where the export has only a handle.
        author_handle: the handle; at least one of the two is there.
        author_sec_uid: the secUid.
        caption: as posted.
        create_time: posting time as given, UTC seconds.
        hashtags: names as given, in order.
        mentions: handles as given, beyond those in the caption.
        music_id: id of the sound.
        music_title: title of the sound.
        duration_s: length in seconds.
        views: plays; likes, comments, shares, saves likewise.
        duet_of: id of the video this one is a duet with.
        effects: names of effects.
        region: two-letter code as given.
        language: language code as given.
        is_slideshow: whether the post is a series of images.
        notes: what was missing or mended, as words to be counted.
    """

    video_id: str
    author_id: str | None
    author_handle: str | None
    author_sec_uid: str | None
    caption: str
    create_time: int | None
    hashtags: tuple[str, ...]
    mentions: tuple[str, ...]
    music_id: str | None
    music_title: str | None
    duration_s: float | None
    views: int | None
    likes: int | None
    comments: int | None
    shares: int | None
    saves: int | None
    duet_of: str | None
    effects: tuple[str, ...]
    region: str | None
    language: str | None
    is_slideshow: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One export format.

    Attributes:
        name: as given to `--source` and kept in the record.
        matches: whether a raw record has this shape.
        read: maps it to a `Post`; raises `UnreadablePostError`.
    """

    name: str
    matches: Callable[[RawRecord], bool]
    read: Callable[[RawRecord], Post]
