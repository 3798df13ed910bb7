"""Reads a post by a table of paths: all that most formats need.

A source that differs from others in the names of its fields alone is such a table.
"""

from __future__ import annotations

from dataclasses import dataclass

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import Post, RawRecord


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a format has each field of `Post`: of several paths the first that holds.

    Attributes:
        video_id: the id; where it has none, the address of the post tells.
        user_id: the author's id; handle and sec_uid likewise. Where it has neither id
            nor handle, the address of the post tells.
        caption: the text.
        create_time: seconds, milliseconds or a text with a zone.
        tags: lists of hashtags; where there are none, the caption tells.
        mentions: lists of handles.
        music_id: id of the sound; music_title and music_is_original likewise.
        names: display names of the author and of the sound's owner.
        duration_s: seconds or hh:mm:ss.
        views: plays; likes, comments, shares and saves likewise.
        region: country code; language likewise.
        transcript: what is said.
        duet_of: id of the post it is a duet with.
        effects: lists of effects.
        images: there is something where the post is a series of images.
        followers: the author's account; total_likes and total_posts likewise.
    """

    video_id: tuple[str, ...]
    user_id: tuple[str, ...] = ()
    handle: tuple[str, ...] = ()
    sec_uid: tuple[str, ...] = ()
    caption: tuple[str, ...] = ()
    create_time: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
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


def read(record: RawRecord, paths: Paths, *, witnesses: tuple[str, ...] = ()) -> Post:
    """Maps a record to a `Post`.

    Args:
        record: the raw record.
        paths: where the format has what.
        witnesses: paths to ids that the format has as numbers, as of `Fields`.

    Raises:
        UnreadablePostError: no usable id, or no author.
    """
    fields = Fields(record, witnesses=witnesses)
    video_id = fields.video_id(*paths.video_id)
    caption = fields.text("caption", *paths.caption) or ""
    author = fields.author(
        user_id=paths.user_id, handle=paths.handle, sec_uid=paths.sec_uid
    )
    return Post(
        video_id=video_id,
        author=author,
        caption=caption,
        create_time=fields.time("create_time", *paths.create_time),
        hashtags=fields.tags(caption, *paths.tags),
        mentions=tuple(
            name.removeprefix("@")
            for path in paths.mentions
            for name in fields.texts(path, "username", "unique_id", "name")
        ),
        music_id=fields.optional_identifier("music_id", *paths.music_id),
        music_title=fields.text("music_title", *paths.music_title),
        music_is_original=fields.flag(*paths.music_is_original),
        private_names=fields.private_names(*paths.names),
        duration_s=fields.seconds("duration_s", *paths.duration_s),
        region=fields.text("region", *paths.region),
        language=fields.optional_text("language", *paths.language),
        transcript=fields.optional_text("transcript", *paths.transcript),
        duet_of=fields.optional_identifier("duet_of", *paths.duet_of),
        effects=tuple(e for path in paths.effects for e in fields.texts(path, "name")),
        is_slideshow=any(map(fields.shows_images, paths.images)),
        account=fields.account(paths.followers, paths.total_likes, paths.total_posts),
        views=fields.count("views", *paths.views),
        likes=fields.count("likes", *paths.likes),
        comments=fields.count("comments", *paths.comments),
        shares=fields.count("shares", *paths.shares),
        saves=fields.count("saves", *paths.saves),
        notes=fields.notes,
    )
