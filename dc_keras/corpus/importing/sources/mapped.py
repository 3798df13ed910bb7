"""Reads a post with a table of paths, which is sufficient for most formats.

A source that differs from others only in the names of its fields is such a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import msgspec

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mention_spans import show_handles
from dc_keras.corpus.importing.sources.post import Post, RawRecord, Source


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of the fields of `Post`; the first path with a value is used.

    A field without paths does not exist in the format: it is None and not noted. Fields
    that are not listed are those of `Post`.

    Attributes:
        video_id: the id; by default that in the URL of the post.
        user_id: the id of the author.
        handle: the handle of the author; by default that in the URL of the post.
        sec_uid: the secUid of the author.
        create_time: seconds, milliseconds or a text with a time zone.
        tags: lists of hashtags; by default those in the caption.
        links: list of the hashtags and mentions that the caption links to, in place of
            `tags`.
        challenges: list of challenges, in addition to `links` or the caption.
        names: display names of the author and of the owner of the sound.
        duration_s: seconds or hh:mm:ss.
        images: values that are not empty for a slideshow.
        followers: count of the author's account; total_likes and total_posts likewise.
        witnesses: see `Fields`.
    """

    video_id: tuple[str, ...]
    user_id: tuple[str, ...] = ()
    handle: tuple[str, ...] = ()
    sec_uid: tuple[str, ...] = ()
    caption: tuple[str, ...] = ()
    create_time: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    links: str = ""
    challenges: str = ""
    mentions: tuple[str, ...] = ()
    music_id: tuple[str, ...] = ()
    music_title: tuple[str, ...] = ()
    music_is_original: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    duration_s: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    likes: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    saves: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    transcript: tuple[str, ...] = ()
    duet_of: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    followers: str = ""
    total_likes: tuple[str, ...] = ()
    total_posts: str = ""
    witnesses: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Self:
        """Returns the paths in a text of words such as `likes=ups,stats.ups`."""
        is_single = {item.name: item.default == "" for item in fields(cls)}
        given = dict(word.split("=") for word in text.split())
        values: dict[str, Any] = {
            name: paths if is_single[name] else tuple(paths.split(","))
            for name, paths in given.items()
        }
        return cls(**values)

    def read(self, record: RawRecord) -> Post:
        """Maps a record to a `Post`, or raises `UnreadablePostError`."""
        return self.read_fields(Fields(record, witnesses=self.witnesses))

    def read_fields(self, record: Fields) -> Post:
        """Returns the same as `read`, and adds notes to the fields of the record."""
        video_id = record.video_id(*self.video_id)
        caption = record.text("caption", *self.caption) or ""
        author = record.author(
            user_id=self.user_id, handle=self.handle, sec_uid=self.sec_uid
        )
        return Post(
            video_id=video_id,
            author=author,
            caption=self._shown(record, caption),
            create_time=record.time("create_time", *self.create_time),
            hashtags=self._hashtags(record, caption),
            mentions=tuple(self._mentions(record)),
            music_id=record.optional_identifier("music_id", *self.music_id),
            music_title=record.text("music_title", *self.music_title),
            music_is_original=record.flag(*self.music_is_original),
            private_names=record.private_names(*self.names),
            duration_s=record.seconds("duration_s", *self.duration_s),
            views=record.count("views", *self.views),
            likes=record.count("likes", *self.likes),
            comments=record.count("comments", *self.comments),
            shares=record.count("shares", *self.shares),
            saves=record.count("saves", *self.saves),
            duet_of=record.optional_identifier("duet_of", *self.duet_of),
            effects=tuple(
                e for path in self.effects for e in record.texts(path, "name")
            ),
            region=record.text("region", *self.region),
            language=record.text("language", *self.language),
            transcript=record.text("transcript", *self.transcript),
            is_slideshow=any(map(record.has_images, self.images)),
            account=record.account(self.followers, self.total_likes, self.total_posts),
            notes=record.notes,
        )

    def _shown(self, record: Fields, caption: str) -> str:
        links = record.entries(self.links) if self.links else ()
        return show_handles(caption, links) if links else caption

    def _hashtags(self, record: Fields, caption: str) -> tuple[str, ...]:
        if self.links or self.challenges:
            return record.hashtags(caption, self.links, self.challenges)
        return record.tags(caption, *self.tags)

    def _mentions(self, record: Fields) -> list[str]:
        keys = ("username", "unique_id", "name")
        found = [n for path in self.mentions for n in record.texts(path, *keys)]
        if self.links:
            found += record.texts(self.links, "user_unique_id")
        return [name.lstrip("@") for name in found]


def mapped_source(
    name: str,
    *,
    matches: Callable[[RawRecord], bool],
    paths: str,
    change: Callable[[Fields, Post], Mapping[str, Any]] = lambda fields, post: {},
) -> Source:
    """Returns the source of a format that a table of paths describes (`Paths.of`).

    `change` returns values of fields that need more than a path. It may add notes to
    the fields of the record, and raise `UnreadablePostError`.
    """
    table = Paths.of(paths)

    def read(record: RawRecord) -> Post:
        fields = Fields(record, witnesses=table.witnesses)
        post = table.read_fields(fields)
        changes = change(fields, post)
        return msgspec.structs.replace(post, **changes, notes=fields.notes)

    return Source(name, matches, read)


def has_keys(record: RawRecord, *keys: str, least: int = 1) -> bool:
    """Whether a record has some of the keys."""
    return sum(map(record.__contains__, keys)) >= least
