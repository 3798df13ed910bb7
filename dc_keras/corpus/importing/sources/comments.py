"""Comments: which user replied to which post.

The formats are that of the web and the app, and those of 4CAT (its table), the Apify
actors, Bright Data and tikwm. A reply to a comment counts as one to the post.
"""

from __future__ import annotations

from dc_keras.corpus.importing.sources import addresses, synonyms
from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import (
    RawEdge,
    RawEdges,
    RawRecord,
    RequestContext,
    Row,
    Source,
    UnreadablePostError,
)

# A comment has two of these keys; a post has none of them.
_DISTINCTIVE = frozenset(
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


def matches(record: RawRecord) -> bool:
    """Whether the record is a comment, complete or damaged."""
    keys = record.keys()
    found = _DISTINCTIVE & keys
    return len(found) >= 2 or (
        bool(found) and bool(_TEXTS & keys) and "stats" not in keys
    )


def read(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a comment to the edge from its author to the post.

    Raises:
        UnreadablePostError: the comment has no post, or no author.
    """
    del context
    fields = Fields(_named(record))
    video_id = fields.identifier("video_id", *_POST_KEYS)
    if video_id is None or not _is_id(video_id):
        _, video_id = addresses.find_post(record)
    if video_id is None:
        raise UnreadablePostError("a comment without a post id")
    return RawEdges((_edge(fields, video_id),), notes=fields.notes)


def matches_web(record: RawRecord) -> bool:
    """Whether the record is a comment in the format of the web and the app."""
    return "cid" in record and "aweme_id" in record


def read_web(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps a comment and its replies to edges from their authors to the post.

    Raises:
        UnreadablePostError: there is no valid post id, or no author.
    """
    del context
    fields = Fields(record)
    video_id = fields.video_id("aweme_id")
    edges = [_edge(fields, video_id)]
    for answer in fields.entries("reply_comment"):
        if isinstance(answer, dict):
            try:
                edges.append(_edge(Fields(answer), video_id))
            except UnreadablePostError:
                fields.note("malformed.reply_comment")
    return RawEdges(tuple(edges), notes=fields.notes)


def _edge(fields: Fields, video_id: str) -> RawEdge:
    """Returns the edge from the author of a comment to the post."""
    actor = fields.person(
        user_id=_USER_IDS,
        handle=_HANDLES,
        sec_uid=("user.sec_uid", "user.secUid", "sec_uid", "secUid"),
    )
    if actor is None:
        raise UnreadablePostError("a comment without an author")
    time = fields.time("create_time", *_TIMES)
    return RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)


def _named(record: RawRecord) -> RawRecord:
    """Adds URL, handle and user id of a hand-made table under canonical names.

    The id is not added, because it may be that of the comment.
    """
    if not isinstance(record, Row):
        return record
    named = synonyms.name_fields(record)
    return Row({**{k: named[k] for k in _NAMED if k in named}, **record})


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


SOURCE = Source(name="comment", matches=matches, read_edges=read)
WEB = Source(name="web_comment", matches=matches_web, read_edges=read_web)
