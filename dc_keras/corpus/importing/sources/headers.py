"""Finds the header of a table and converts its columns to the names that sources use.

A header may follow title lines, be written in capitals or with spaces, and contain
unknown columns. A column named `a.b` or `a/b` is the key b of the object a, as written
by tools that flatten JSON into tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from dc_keras.corpus.importing.sources.synonyms import find_field

Path: TypeAlias = tuple[str, ...]

# A header must have one of these columns, because a text with commas may look like a
# header.
_ID_COLUMNS = frozenset(
    {"id", "video_id", "videoid", "cid", "aweme_id", "awemeid", "post_id"}
    | {"postid", "item_id", "comment_id", "author_unique_id", "profile_username"}
    | {"url", "webvideourl", "videoweburl", "share_url", "tiktok_url", "video_url"}
    | {"video_link", "作品id"}
)
# Columns of a list of followers.
_PEOPLE = frozenset({"display_name", "target_account"})
# Names with capitals, as the tools write them; other spellings are converted to these.
_SPELLINGS = {
    name.casefold(): name
    for name in (
        *("createTime", "createTimeISO", "authorId", "authorSecId", "uniqueId"),
        *("secUid", "statsV2", "textExtra", "hashtagName", "userUniqueId"),
        *("authorStats", "followerCount", "heartCount", "videoCount", "playCount"),
        *("diggCount", "shareCount", "commentCount", "collectCount", "authorName"),
        *("locationCreated", "textLanguage", "duetInfo", "duetFromId", "imagePost"),
        *("effectStickers", "authorMeta", "musicMeta", "videoMeta", "musicId"),
        *("musicName", "musicAuthor", "musicOriginal", "nickName", "webVideoUrl"),
        *("videoWebUrl", "isSlideshow", "repliesToId", "replyCommentTotal"),
        *("stats_playCount", "stats_diggCount", "stats_commentCount"),
        *("stats_shareCount", "author_uniqueId", "author_secUid"),
    )
}
_BY_FOLDED_WORDS = {
    "videoid": "video_id",
    "postid": "post_id",
    "awemeid": "aweme_id",
    "userid": "user_id",
    "videourl": "video_url",
    "posturl": "post_url",
    "shareurl": "share_url",
}
_PARTS = re.compile(r"[./]")
# Keys between points or slashes; `Length (sec.)` and `Date/Time` are names.
_PATH = re.compile(r"(?![A-Z]\w*/[A-Z])[^\s()./]+(?:[./][^\s()./]+)+")
_SPACES = re.compile(r"[\s-]+")
_LONGEST_NAME = 80
# DouK-Downloader has a column ID in addition to the id of the post.
_AS_THEY_ARE = "作品ID"


def is_header(cells: Sequence[str]) -> bool:
    """Whether the cells of a line are the column names of a table."""
    names = [_fold(cell) for cell in cells]
    if sum(map(bool, names)) < 2 or not all(map(_is_name, names)):
        return False
    if not _ID_COLUMNS.isdisjoint(names):
        return True
    fields = {find_field(_trim(cell))[0] for cell in cells}
    is_of_posts = not fields.isdisjoint(("video_id", "url"))
    is_of_people = "username" in names and not _PEOPLE.isdisjoint(names)
    return is_of_people or (is_of_posts and len(fields - {None}) > 1)


def rejection_reason(lines: Iterable[Sequence[str]]) -> str | None:
    """Returns why the first header in these lines is not that of a table of posts.

    The reason contains only known column names, because others may name a person.
    """
    for cells in lines:
        names = [_trim(cell) for cell in cells]
        known = [name for name in names if find_field(name)[0] is not None]
        if len(known) > 1 and all(map(_is_name, names)):
            others = len(list(filter(None, names))) - len(known)
            return (
                "a table without a column for the ids or the addresses of posts: call "
                f"it `video id` or `url` (recognised: {', '.join(known)}; other: "
                f"{others})"
            )
    return None


def _is_name(cell: str) -> bool:
    return len(cell) <= _LONGEST_NAME and "\n" not in cell


def column_paths(cells: Sequence[str]) -> list[Path]:
    """Returns the path in a record for each column."""
    given = [_trim(cell) for cell in cells]
    if _AS_THEY_ARE in given:
        return [(name,) for name in given]
    known = set(given)
    return [_spell(name, known) for name in given]


def _spell(name: str, given: set[str]) -> Path:
    parts = _PARTS.split(name) if _PATH.fullmatch(name) else [name]
    spelt = tuple(map(_spell_part, parts))
    return tuple(parts) if ".".join(spelt) in given else spelt


def _spell_part(part: str) -> str:
    folded = _fold(part)
    if part == folded or part in _SPELLINGS.values():
        return part  # the spelling of a tool
    if folded in _SPELLINGS:
        return _SPELLINGS[folded]
    if folded in _BY_FOLDED_WORDS and part != part.lower():
        return _BY_FOLDED_WORDS[folded]
    is_camel = part[:1].islower() and part != part.lower() and "_" not in part
    return part if is_camel or ("_" in part and part != part.upper()) else folded


def _trim(cell: str) -> str:
    return cell.strip().strip("\ufeff\"'").strip()


def _fold(cell: str) -> str:
    return _SPACES.sub("_", _trim(cell)).casefold()
