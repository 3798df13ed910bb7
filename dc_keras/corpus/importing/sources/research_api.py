"""Answers of the Research API: videos, followers and comments.

Also reads the tables of its clients (ResearchTikPy, traktok). Users are identified only
by their handle, which can change, and posts have no media files.
"""

from __future__ import annotations

from dataclasses import replace

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.mapped import Paths, with_changes
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawEdge,
    RawEdges,
    RawRecord,
    RequestContext,
    Source,
    UnreadablePostError,
    refuse,
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


# The virtual compute environment renames some of the fields.
_PATHS = Paths.of(
    """
    video_id=id,video_id handle=username,author_name,display_name
    caption=video_description create_time=create_time,create_date tags=hashtag_names
    mentions=video_mention_list music_id=music_id duration_s=video_duration
    views=view_count likes=like_count comments=comment_count shares=share_count
    saves=favorites_count,favourites_count region=region_code,country_code
    transcript=voice_to_text witnesses=id,video_id,music_id
    """
)


def read_video(record: RawRecord) -> Post:
    """Maps a video to a `Post`.

    Raises:
        UnreadablePostError: there is no valid id, or no author.
    """
    fields = Fields(record, witnesses=_PATHS.witnesses)
    post = _PATHS.read_fields(fields)
    names = tuple(fields.texts("effect_info_list", "effect_name"))
    ids = tuple(map(str, fields.entries("effect_ids")))
    return with_changes(post, fields, effects=names or ids)


def matches_follow(record: RawRecord) -> bool:
    """Whether the record is an entry of a list of followers or of followed users."""
    keys = record.keys()
    return "username" in keys and keys <= {"username", "display_name", "target_account"}


def read_follower(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps an entry of a list of followers to an edge.

    Raises:
        UnreadablePostError: one of the two users is missing.
    """
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


def read_followed(record: RawRecord, context: RequestContext) -> RawEdges:
    """Maps an entry of a list of followed users to an edge; raises likewise."""
    return read_follower(record, replace(context, list_name=_FOLLOWING))


def matches_comment(record: RawRecord) -> bool:
    """Whether the record is a comment."""
    return "parent_comment_id" in record and "video_id" in record


VIDEO = Source(name="research_api", matches=matches_video, read=read_video)
FOLLOWERS = Source(
    name="research_followers", matches=matches_follow, read_edges=read_follower
)
FOLLOWING = Source(
    name="research_following", matches=matches_follow, read_edges=read_followed
)
COMMENT = Source(
    name="research_comment",
    matches=matches_comment,
    read_edges=refuse(
        "a comment without an author: the Research API does not return it"
    ),
)
