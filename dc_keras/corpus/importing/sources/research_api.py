"""Answers of the Research API: videos, followers and comments.

Also reads the tables of its clients (ResearchTikPy, traktok). Users are identified only
by their handle, which can change, and posts have no media files.
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
    UnreadablePostError,
)

# A video has at least two of these keys. The id is not required, so that videos without
# an id are reported as such.
_DISTINCTIVE = frozenset(
    {"video_description", "region_code", "country_code", "view_count", "music_id"}
    | {"hashtag_names", "voice_to_text", "effect_ids", "video_duration", "username"}
    | {"is_stem_verified", "stem_verified", "favorites_count", "favourites_count"}
)
_FOLLOWING = "user_following"


def matches_video(record: RawRecord) -> bool:
    """Whether the record is a video, complete or damaged."""
    return len(_DISTINCTIVE & record.keys()) >= 2 and "parent_comment_id" not in record


def read_video(record: RawRecord) -> Post:
    """Maps a video to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record, witnesses=("id", "video_id", "music_id"))
    video_id = fields.video_id("id", "video_id")
    caption = fields.text("caption", "video_description")
    # The virtual compute environment renames some of the fields.
    author = fields.author(handle=("username", "author_name", "display_name"))
    return Post(
        video_id=video_id,
        author=author,
        caption="" if caption is None else caption,
        create_time=fields.time("create_time", "create_time", "create_date"),
        hashtags=fields.tags(caption, "hashtag_names"),
        mentions=tuple(fields.texts("video_mention_list", "username", "name")),
        music_id=fields.optional_identifier("music_id", "music_id"),
        duration_s=fields.seconds("duration_s", "video_duration"),
        views=fields.count("views", "view_count"),
        likes=fields.count("likes", "like_count"),
        comments=fields.count("comments", "comment_count"),
        shares=fields.count("shares", "share_count"),
        saves=fields.count("saves", "favorites_count", "favourites_count"),
        effects=_effects(fields),
        region=fields.text("region", "region_code", "country_code"),
        transcript=fields.text("transcript", "voice_to_text"),
        notes=fields.notes,
    )


def matches_follow(record: RawRecord) -> bool:
    """Whether the record is an entry of a list of followers or of followed users."""
    keys = record.keys()
    return "username" in keys and keys <= {"username", "display_name", "target_account"}


def read_follower(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps an entry of a list of followers to an edge.

    Raises:
        UnreadablePostError: one of the two users is missing.
    """
    return _follow(record, is_followed=context.list_name == _FOLLOWING)


def read_followed(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps an entry of a list of followed users to an edge.

    Raises:
        UnreadablePostError: one of the two users is missing.
    """
    del context
    return _follow(record, is_followed=True)


def matches_comment(record: RawRecord) -> bool:
    """Whether the record is a comment."""
    return "parent_comment_id" in record and "video_id" in record


def read_comment(record: RawRecord, context: RequestContext) -> RawEdges:
    """Rejects a comment, because it has no author.

    Raises:
        UnreadablePostError: always.
    """
    del record, context
    raise UnreadablePostError(
        "a comment without an author: the Research API does not return it"
    )


def _effects(fields: Fields) -> tuple[str, ...]:
    names = tuple(fields.texts("effect_info_list", "effect_name"))
    ids = tuple(map(str, fields.entries("effect_ids")))
    return names or ids


def _follow(record: RawRecord, *, is_followed: bool) -> RawEdges:
    fields = Fields(record)
    listed = fields.person(handle=("username",))
    asked_about = fields.person(handle=("target_account",))
    if listed is None or asked_about is None:
        raise UnreadablePostError(
            "a follower without `target_account`: the followed account is unknown"
        )
    follower, followed = listed, asked_about
    if is_followed:
        follower, followed = asked_about, listed
    return RawEdges((RawEdge("follow", follower, followed),))


VIDEO = Source(name="research_api", matches=matches_video, read=read_video)
FOLLOWERS = Source(
    name="research_followers", matches=matches_follow, read_edges=read_follower
)
FOLLOWING = Source(
    name="research_following", matches=matches_follow, read_edges=read_followed
)
COMMENT = Source(
    name="research_comment", matches=matches_comment, read_edges=read_comment
)
