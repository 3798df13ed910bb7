"""The formats of relations between users, posts, hashtags and sounds.

Comments become replies to posts, in the formats of the web and the app, 4CAT (its
table), the Apify actors, Bright Data and tikwm; a reply to a comment counts as one to
the post. Follows are those of the Research API, and suggestions are those of the
platform next to a user: other users, hashtags, sounds. They are the edges of whichtok's
graph, whose users.json has them too.
"""

from __future__ import annotations

from dataclasses import replace

from dc_keras.corpus.importing.sources import addresses, synonyms
from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import has_keys
from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RawEdges,
    RawRecord,
    RequestContext,
    Row,
    Source,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.values import repair_surrogates

# A comment has two of these keys; a post has none of them.
_OF_COMMENTS = frozenset(
    {"cid", "comment_id", "commentId", "repliesToId", "replyCommentTotal", "reply_id"}
    | {"replyToId", "is_comment_on_comment", "comment_url", "parent_comment_id"}
    | {"reply_comment_total", "reply_total", "comment_text", "commentText"}
    | {"likedByAuthor", "is_liked_by_post_author", "reply_comment_id", "num_replies"}
    | {"comment_language", "comment_body", "commenter_user_name", "commenter_id"}
    | {"reply_to_reply_id", "commenter_username", "post_body", "pinnedByAuthor"}
)
_TEXTS = frozenset({"text", "body", "comment", "comment_text", "commentText"})
_NAMED = ("url", "handle", "user_id")
_POST_KEYS = (
    *("aweme_id", "post_id", "video_id", "videoId", "postId", "item_id", "awemeId"),
    *("aweme.aweme_id", "itemId"),
)
_USER_IDS = (
    *("user.uid", "user.id", "uid", "user_id", "commenter_id", "author.uid"),
    *("author.id", "userId", "author_id"),
)
_HANDLES = (
    *("user.unique_id", "user.uniqueId", "uniqueId", "unique_id", "username"),
    *("commenter_username", "author.uniqueId", "author.unique_id", "author", "user"),
    *("commenter_user_name", "author_username", "userName", "user_name", "handle"),
)
_TIMES = (
    *("create_time", "createTime", "unix_timestamp", "createTimeISO", "date_created"),
    "created_at",
)
_FOLLOWING = "user_following"


def _is_comment(record: RawRecord) -> bool:
    keys = record.keys()
    found = _OF_COMMENTS & keys
    return (
        len(found) >= 2
        or (bool(found) and bool(_TEXTS & keys) and "stats" not in keys)
        or has_keys(record, "cid", "aweme_id", least=2)
    )


def _read_comment(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a comment and its replies to edges from their authors to the post."""
    fields = Fields(_with_canonical_names(record))
    video_id = fields.identifier("video_id", *_POST_KEYS)
    if video_id is None or not _is_id(video_id):
        _, video_id = addresses.find_post(record)
    if video_id is None:
        raise UnreadablePostError("a comment without a post id")
    edges = [_reply(fields, video_id)]
    for answer in fields.entries("reply_comment"):
        if isinstance(answer, dict):
            try:
                edges.append(_reply(Fields(answer), video_id))
            except UnreadablePostError:
                fields.note("malformed.reply_comment")
    return RawEdges(tuple(edges), notes=fields.notes)


def _reply(fields: Fields, video_id: str) -> RawEdge:
    actor = fields.person(
        user_id=_USER_IDS,
        handle=_HANDLES,
        sec_uid=("user.sec_uid", "user.secUid", "sec_uid", "secUid"),
    )
    if actor is None:
        raise UnreadablePostError("a comment without an author")
    time = fields.time("create_time", *_TIMES)
    return RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)


def _with_canonical_names(record: RawRecord) -> RawRecord:
    """Adds URL, handle and user id of a hand-made table under canonical names.

    The id is not added, because it may be that of the comment.
    """
    if not isinstance(record, Row):
        return record
    named = synonyms.name_fields(record)
    return Row({**{k: named[k] for k in _NAMED if k in named}, **record})


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


COMMENT = Source("comment", matches=_is_comment, read_edges=_read_comment)


def _is_follow(record: RawRecord) -> bool:
    keys = record.keys()
    return "username" in keys and keys <= {"username", "display_name", "target_account"}


def _read_follower(record: RawRecord, context: RequestContext) -> RawEdges:
    fields = Fields(record)
    follower = fields.person(handle=("username",))
    followed = fields.person(handle=("target_account",))
    if follower is None or followed is None:
        raise UnreadablePostError(
            "a follower without `target_account`: the followed account is unknown"
        )
    if context.list_name == _FOLLOWING:
        follower, followed = followed, follower
    return RawEdges((RawEdge("follow", follower, followed),))


# Entries of the lists of followers and of followed users have the same keys.
FOLLOWERS = Source("research_followers", matches=_is_follow, read_edges=_read_follower)
FOLLOWING = Source(
    "research_following",
    matches=_is_follow,
    read_edges=lambda record, context: _read_follower(
        record, replace(context, list_name=_FOLLOWING)
    ),
)


def _read_suggestion(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a suggestion to an edge from the user it belongs to.

    An answer of the platform does not contain that user; a line of `pipelines.collect`
    does.
    """
    fields = Fields(record)
    target, target_type = _suggested(fields)
    if context.seed is None:
        fields.note("missing.seed")
    edge = RawEdge("suggested", context.seed, target, target_type)
    return RawEdges((edge,), notes=fields.notes)


def _suggested(fields: Fields) -> tuple[Person | str, str]:
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


SUGGESTED = Source(
    "suggested",
    matches=lambda record: "extraInfo" in record,
    read_edges=_read_suggestion,
)


def _read_whichtok_user(record: RawRecord, context: RequestContext) -> RawEdges:
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


# `users.json` is an object of users by handle, each with the ids of their posts.
WHICHTOK_USERS = Source(
    "whichtok_users",
    matches=lambda record: has_keys(record, "sugg_hashtags", "used_hashtags"),
    read_edges=_read_whichtok_user,
)
