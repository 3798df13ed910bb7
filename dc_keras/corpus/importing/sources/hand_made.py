"""Flat tables and objects made by hand, with arbitrary column names.

The meaning of a column is derived from its name (`synonyms`).
"""

from __future__ import annotations

from typing import Any

from dc_keras.corpus.importing.sources import (
    addresses,
    platform_posts,
    synonyms,
    tool_posts,
    values,
)
from dc_keras.corpus.importing.sources.mapped import Paths
from dc_keras.corpus.importing.sources.post import (
    Post,
    RawRecord,
    Row,
    Source,
    UnreadablePostError,
)

_NAMED: dict[str, Any] = {
    **{
        name: (name,)
        for name in synonyms.SYNONYMS
        if name not in ("url", "profile_url")
    },
    "followers": "followers",
}
_PATHS = Paths(tags=_NAMED.pop("hashtags"), names=_NAMED.pop("name"), **_NAMED)
_COUNTS = frozenset({"views", "likes", "comments", "shares", "saves"})
_DISTINCTIVE = _COUNTS | {"caption", "create_time", "handle", "hashtags", "duration_s"}
# Only the Research API has these.
_RESEARCH_KEYS = frozenset(
    {"region_code", "country_code", "hashtag_names", "voice_to_text", "effect_ids"}
    | {"is_stem_verified", "stem_verified", "favorites_count", "favourites_count"}
)
# The flat keys that the sources of tools read.
_TOOL_KEYS = frozenset(
    {"id", "video_id", "desc", "author", "authorId", "createTime", "textLanguage"}
    | {"locationCreated", "username", "video_description", "create_time", "url"}
    | {"view_count", "like_count", "comment_count", "share_count", "music_id"}
    | {"video_duration", "play_count", "digg_count", "collect_count", "music_name"}
    | {"challenges", "duration", "user_id", "author_id"}
)
# An object with one of these keys describes a person.
_PERSON_KEYS = frozenset({"uniqueId", "unique_id", "secUid", "sec_uid", "signature"})
_TOOLS = (
    platform_posts.RESEARCH_API,
    tool_posts.TIKTOK_10M,
    platform_posts.WEB_ITEM,
)


def _matches(record: RawRecord) -> bool:
    """Whether a record is flat and its keys are those of a post.

    For an object that is not a row of a table, the values must be those of a post too,
    because many objects have an id and a title. Records that the source of a tool reads
    completely are left to it.
    """
    keys = record.keys()
    if _RESEARCH_KEYS & keys or any(isinstance(v, dict) for v in record.values()):
        return False
    fields = {synonyms.find_field(key)[0] for key in keys}
    if fields.isdisjoint(("video_id", "url")) or fields.isdisjoint(_DISTINCTIVE):
        return False
    if not isinstance(record, Row) and not _is_post(record):
        return False
    is_more = any(synonyms.find_field(key)[0] for key in keys - _TOOL_KEYS)
    return is_more or not any(tool.matches(record) for tool in _TOOLS)


def _read(record: RawRecord) -> Post:
    named = synonyms.name_fields(record)
    if _is_text(named.get("comments")) and not {"caption", "views"} & named.keys():
        raise UnreadablePostError(
            "a column that may hold comments or remarks on posts: call it "
            "`comment_text` or `remarks`"
        )
    return _PATHS.read(named)


def _is_post(record: RawRecord) -> bool:
    """Whether an object has an id or URL of TikTok, an author, a text and a count."""
    if _PERSON_KEYS & record.keys():
        return False
    named = synonyms.name_fields(record)
    _, in_address = addresses.find_post(named)
    given = str(named.get("video_id", ""))
    is_id = given.isdecimal() and len(given) == 19 and int(given) >= values.FIRST_ID
    has_author = bool({"handle", "user_id"} & named.keys()) or in_address is not None
    has_text = bool({"caption", "create_time"} & named.keys())
    is_named = is_id or in_address is not None
    # A sound has an id, an author and a title too, and its `play` is a URL.
    counts = (values.parse_whole_number(named.get(name)) for name in _COUNTS)
    has_count = any(count is not None for count in counts)
    return is_named and has_author and has_text and has_count


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip()[:1].isdecimal() is False


SOURCE = Source(name="hand_made", matches=_matches, read=_read)
