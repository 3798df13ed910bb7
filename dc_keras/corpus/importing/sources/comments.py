"""Comments in the formats of further tools: which user replied to which post.

The tools are 4CAT (its table), the Apify actors, Bright Data and tikwm. A comment on a
comment counts as a reply to the same post.
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
    actor = fields.person(
        user_id=_USER_IDS,
        handle=_HANDLES,
        sec_uid=("user.sec_uid", "user.secUid", "sec_uid", "secUid"),
    )
    if actor is None:
        raise UnreadablePostError("a comment without an author")
    time = fields.time(
        "create_time",
        "create_time",
        "createTime",
        "unix_timestamp",
        "createTimeISO",
        "date_created",
        "created_at",
    )
    edge = RawEdge("reply", actor, video_id, "video", video_id=video_id, time=time)
    return RawEdges((edge,), notes=fields.notes)


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
