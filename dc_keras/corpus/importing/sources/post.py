"""What a source module makes of one raw record, before pseudonyms and merging.

`Person` and `Post` are structs of msgspec: of millions, each is made at a fifth of what
a frozen dataclass costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

RawRecord: TypeAlias = Mapping[str, Any]


class Row(dict[str, Any]):
    """A record that was a row of a table: its values began as texts."""


class TypedRow(Row):
    """A row of a table whose columns have types, so that its numbers are exact."""


class UnreadablePostError(ValueError):
    """A record that cannot become a post; the message is the reason for quarantine.

    The message never repeats the record's content, because that is people's data.
    """


class Person(msgspec.Struct, frozen=True, gc=False):
    """Somebody on the platform, in the clear: lives in memory only.

    Attributes:
        user_id: the platform's user id; None where the export has only a handle.
        handle: the name after the @; at least one of the two is there.
        sec_uid: the secUid.
    """

    user_id: str | None
    handle: str | None
    sec_uid: str | None = None


class Account(msgspec.Struct, frozen=True, gc=False):
    """What an export says about an author's account at the time of collection.

    Attributes:
        followers: how many follow it.
        total_likes: likes of all its posts.
        total_posts: number of its posts.
    """

    followers: int | None = None
    total_likes: int | None = None
    total_posts: int | None = None


@dataclass(frozen=True, slots=True)
class Tie:
    """Something that one person has to do with another, a tag, a sound or a post.

    Attributes:
        kind: "follow", "reply", "suggested", "duet" or "stitch"; "posted" only says
            whose a post is.
        actor: who follows, replies, or is shown the suggestion; None where the export
            does not say.
        target: what it leads to: a person, or the text of `target_type`.
        target_type: "user", "video" (an id), "hashtag" (a name), "sound" (an id) or
            "sound_title".
        video_id: the post that shows the tie, where there is one.
        time: when, UTC seconds.
    """

    kind: str
    actor: Person | None
    target: Person | str
    target_type: str = "user"
    video_id: str | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Ties:
    """A record that is no post and only tells ties.

    Attributes:
        ties: at least one.
        notes: as of a post.
    """

    ties: tuple[Tie, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the container of a record says about the request that it answers.

    Attributes:
        seed: whose suggestions these are; None where the export does not say.
        list_name: the key of the list that the record was in; "" outside of lists.
    """

    seed: Person | None = None
    list_name: str = ""


class Post(msgspec.Struct, frozen=True, gc=False):
    """One post with its author's identity in the clear: lives in memory only.

    Attributes:
        video_id: digits.
        author: who posted it; None where another file of the export tells.
        caption: as posted.
        create_time: posting time as given, UTC seconds.
        hashtags: names as given, in order.
        notes: what was missing or mended, as words to be counted.
        mentions: handles as given, beyond those in the caption.
        music_id: id of the sound.
        music_title: title of the sound as given; it may name a person.
        music_is_original: whether the sound is somebody's own, titled by the platform
            with their name; None where the export does not say.
        private_names: display names of the author and of an original sound's owner:
            never kept, only kept out of the title of the sound.
        duration_s: length in seconds.
        views: plays; likes, comments, shares, saves likewise.
        duet_of: id of the video this one is a duet with.
        effects: names of effects.
        region: two-letter code as given.
        language: language code as given.
        stitch_of: as `duet_of`, of a stitch.
        transcript: what is said in the video, as text.
        is_slideshow: whether the post is a series of images.
        ties: what the record tells about others, such as who commented.
        account: the author's followers, likes and posts; None where not given.
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
    ties: tuple[Tie, ...] = ()
    account: Account | None = None


# Posts as columns: each field of `Post`, and its values, one a post.
PostColumns: TypeAlias = Mapping[str, Sequence[Any]]


def columns_of(post: Post) -> PostColumns:
    """Returns the columns of one post."""
    values = msgspec.structs.astuple(post)
    return dict(zip(Post.__struct_fields__, zip(values), strict=True))


@dataclass(frozen=True, slots=True)
class Source:
    """One export format: it has posts or ties.

    Attributes:
        name: as given to `--source` and kept in the record.
        matches: whether a raw record has this shape.
        read: maps it to a `Post`; raises `UnreadablePostError`.
        read_ties: maps it to `Ties`; raises `UnreadablePostError`.
        read_lines: reads posts straight from lines of JSON, the quick way for large
            files: yields, in order, the posts of lines that are plain, which have an
            author and no ties, and None for each other line.
    """

    name: str
    matches: Callable[[RawRecord], bool]
    read: Callable[[RawRecord], Post] | None = None
    read_ties: Callable[[RawRecord, Asked], Ties] | None = None
    read_lines: Callable[[Sequence[bytes]], Iterator[PostColumns | None]] | None = None
