"""The posts and edges that sources read, before pseudonymisation and merging.

`Person` and `Post` are msgspec structs, because there are millions of them and a frozen
dataclass takes five times as long to create.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

RawRecord: TypeAlias = Mapping[str, Any]


class Row(dict[str, Any]):
    """A record from a row of a table; its values were texts."""


class TypedRow(Row):
    """A row of a table with typed columns, so its numbers are exact."""


class UnreadablePostError(ValueError):
    """A record cannot be read as a post; the reason must not contain its content."""


class UnknownAuthorError(UnreadablePostError):
    """Only another file of the export may contain the author of a post."""


class Person(msgspec.Struct, frozen=True, gc=False):
    """A person on the platform, in the clear; kept in memory only.

    Attributes:
        user_id: the platform's user id; None if the export contains only a handle.
        handle: the name after the @; at least one of the two is given.
        sec_uid: the secUid.
    """

    user_id: str | None
    handle: str | None
    sec_uid: str | None = None


class AccountCounts(msgspec.Struct, frozen=True, gc=False):
    """The counts of an author's account at collection time; see `records.User`."""

    followers: int | None = None
    total_likes: int | None = None
    total_posts: int | None = None


@dataclass(frozen=True, slots=True)
class RawEdge:
    """A relation from a person to another person, a hashtag, a sound or a post.

    Attributes:
        kind: "follow", "reply", "suggested", "duet" or "stitch"; "posted" relates a
            post to its author.
        actor: the person who follows, replies, or is shown the suggestion; None if the
            export does not contain it.
        target: a person, or the text of `target_type`.
        target_type: "user", "video" (an id), "hashtag" (a name), "sound" (an id) or
            "sound_title".
        video_id: the post that contains the relation; None if there is none.
        time: time of the relation, UTC seconds.
    """

    kind: str
    actor: Person | None
    target: Person | str
    target_type: str = "user"
    video_id: str | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True)
class RawEdges:
    """The content of a record that has edges, at least one, but is not a post."""

    edges: tuple[RawEdge, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The request that the container of a record answers.

    Attributes:
        seed: the user to whom suggestions belong; None if the export does not contain
            it.
        list_name: the key of the list that the record was in; "" outside of lists.
    """

    seed: Person | None = None
    list_name: str = ""


class Post(msgspec.Struct, frozen=True, gc=False):
    """One post with its author in the clear; kept in memory only.

    Fields that are not listed are as in `records.Video`, but as the export gives them.

    Attributes:
        author: the author; None if another file of the export contains it.
        create_time: posting time, UTC seconds.
        notes: words for missing or repaired values, which are counted.
        mentions: handles, in addition to those in the caption.
        music_title: title of the sound; it may contain a personal name.
        music_is_original: whether the sound is an original one, which the platform
            titles with its owner's name; None if the export does not contain it.
        private_names: display names of the author and of the owner of an original
            sound. They are not stored, only removed from the title of the sound.
        edges: edges of other users in the record, such as comments.
        account: counts of the author's account; None if not given.
    """

    video_id: str
    author: Person | None
    caption: str
    create_time: int | None
    hashtags: tuple[str, ...]
    notes: tuple[str, ...]
    mentions: tuple[str, ...] = ()
    music_id: str | None = None
    music_title: str | None = None
    music_is_original: bool | None = None
    private_names: tuple[str, ...] = ()
    duration_s: float | None = None
    views: int | None = None
    likes: int | None = None
    comments: int | None = None
    shares: int | None = None
    saves: int | None = None
    duet_of: str | None = None
    effects: tuple[str, ...] = ()
    region: str | None = None
    language: str | None = None
    stitch_of: str | None = None
    transcript: str | None = None
    is_slideshow: bool = False
    edges: tuple[RawEdge, ...] = ()
    account: AccountCounts | None = None


# Posts as columns: field of `Post` → its values, one per post.
PostColumns: TypeAlias = Mapping[str, Sequence[Any]]


def columns_of(post: Post) -> PostColumns:
    """Returns the columns of one post."""
    values = msgspec.structs.astuple(post)
    return dict(zip(Post.__struct_fields__, zip(values), strict=True))


@dataclass(frozen=True, slots=True)
class Source:
    """One export format, of posts or of edges.

    Attributes:
        name: value of `--source`, stored in the records.
        matches: whether a raw record has this format.
        read: maps a record to a `Post`; raises `UnreadablePostError`.
        read_edges: maps a record to `RawEdges`; raises `UnreadablePostError`.
        read_lines: a fast reader of JSON lines for large files. In order, it yields the
            posts of regular lines, which have an author and no edges, and None for each
            other line.
    """

    name: str
    matches: Callable[[RawRecord], bool]
    read: Callable[[RawRecord], Post] | None = None
    read_edges: Callable[[RawRecord, RequestContext], RawEdges] | None = None
    read_lines: Callable[[Sequence[bytes]], Iterator[PostColumns | None]] | None = None
