"""The files of whichtok: users.json and three tables separated by tabs.

`users.json` contains the relations of users: an object of users by handle, each with
the ids of their posts. `videos.csv` contains the posts without their authors.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawEdge,
    RawEdges,
    RawRecord,
    RequestContext,
    Source,
    refuse,
)
from dc_keras.corpus.importing.sources.values import repair_surrogates


def matches_user(record: RawRecord) -> bool:
    """Whether the record is a user of users.json."""
    keys = record.keys()
    return "sugg_hashtags" in keys or "used_hashtags" in keys


def read_user(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a user to the suggestions next to them, and to their posts.

    Raises:
        UnreadablePostError: there is neither an id nor a handle.
    """
    del context
    fields = Fields(record)
    user = fields.author(user_id=("id",), handle=("username",), sec_uid=("secUid",))
    hashtags = fields.texts("sugg_hashtags", "title", "name")
    sounds = fields.texts("sugg_sounds", "title", "name")
    videos = (repair_surrogates(str(entry)) for entry in fields.entries("videos"))
    return RawEdges(
        (
            *(RawEdge("suggested", user, name, "hashtag") for name in hashtags),
            *(RawEdge("suggested", user, title, "sound_title") for title in sounds),
            *(RawEdge("posted", user, video_id, "video") for video_id in videos),
        ),
        notes=fields.notes,
    )


def matches_video(record: RawRecord) -> bool:
    """Whether the record is a row of videos.csv."""
    return "stats_playCount" in record or "stats_diggCount" in record


def read_video(record: RawRecord) -> Post:
    """Maps a row to a `Post` without an author.

    Raises:
        UnreadablePostError: there is no valid id.
    """
    fields = Fields(record)
    video_id = fields.video_id("id")
    caption = fields.text("caption", "desc")
    return Post(
        video_id=video_id,
        author=None,
        caption="" if caption is None else caption,
        create_time=None,
        hashtags=tuple(fields.texts("hashtags", "title", "name")),
        music_id=fields.optional_identifier("music_id", "music_id"),
        music_title=fields.text("music_title", "music_title"),
        views=fields.count("views", "stats_playCount"),
        likes=fields.count("likes", "stats_diggCount"),
        comments=fields.count("comments", "stats_commentCount"),
        shares=fields.count("shares", "stats_shareCount"),
        notes=fields.notes,
    )


def matches_suggestion(record: RawRecord) -> bool:
    """Whether the record is a row of hashtags.csv or sounds.csv."""
    return {"title", "subTitle"} <= record.keys() and (
        "views" in record or "posts" in record
    )


USERS = Source(name="whichtok_users", matches=matches_user, read_edges=read_user)
VIDEOS = Source(name="whichtok_videos", matches=matches_video, read=read_video)
SUGGESTIONS = Source(
    name="whichtok_suggestions",
    matches=matches_suggestion,
    read_edges=refuse(
        "a row about a hashtag or a sound, without a post or a relation; users.json "
        "has the relations"
    ),
)
