"""Finds the header of a table and brings its columns to the names that sources know.

A header may stand below a title, be written in capitals or with spaces, and have
columns of anybody's own. A column named `a.b` or `a/b` is the key b inside of a, as the
tools that flatten JSON into tables mean it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from dc_keras.corpus.importing.sources.synonyms import find_field

Path: TypeAlias = tuple[str, ...]

# A table without one of these has nothing to import; a text with commas may look
# like a header.
_ID_COLUMNS = frozenset(
    {"id", "video_id", "videoid", "cid", "aweme_id", "awemeid", "post_id"}
    | {"postid", "item_id", "comment_id", "author_unique_id", "profile_username"}
    | {"url", "webvideourl", "videoweburl", "share_url", "tiktok_url", "video_url"}
    | {"video_link", "作品id"}
)
# Of a list of followers.
_PEOPLE = frozenset({"display_name", "target_account"})
# Spelt with capitals by the tools; any other spelling is brought to this one.
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
_SPACES = re.compile(r"[\s-]+")
_LONGEST_NAME = 80
# DouK-Downloader has a column ID beside its id of the post.
_AS_THEY_ARE = "作品ID"


def is_header(cells: Sequence[str]) -> bool:
    """Whether the cells of a line are the names of a table's columns."""
    names = [_fold(cell) for cell in cells]
    if sum(map(bool, names)) < 2 or not all(map(_is_name, names)):
        return False
    if not _ID_COLUMNS.isdisjoint(names):
        return True
    fields = {find_field(_trim(cell))[0] for cell in cells}
    is_of_posts = not fields.isdisjoint(("video_id", "url"))
    is_of_people = "username" in names and not _PEOPLE.isdisjoint(names)
    return is_of_people or (is_of_posts and len(fields - {None}) > 1)


def reason_against(lines: Iterable[Sequence[str]]) -> str | None:
    """Returns why the first of these lines that has headers is of no table of posts.

    None where no line has any. Only headers that we know are named: any other may be
    about somebody.
    """
    for cells in lines:
        names = [_trim(cell) for cell in cells]
        known = [name for name in names if find_field(name)[0] is not None]
        if len(known) > 1 and all(map(_is_name, names)):
            rest = len(list(filter(None, names))) - len(known)
            others = f" and {rest} others" if rest else ""
            return (
                "a table without a column for the ids or the addresses of posts (such "
                f"as `video id`, `url`); its columns are {', '.join(known)}{others}"
            )
    return None


def _is_name(cell: str) -> bool:
    return len(cell) <= _LONGEST_NAME and "\n" not in cell


def column_paths(cells: Sequence[str]) -> list[Path]:
    """Returns where the cells below each column's name belong in a record."""
    given = [_trim(cell) for cell in cells]
    if _AS_THEY_ARE in given:
        return [(name,) for name in given]
    known = set(given)
    return [tuple(_PARTS.split(_spell(name, known))) for name in given]


def _spell(name: str, given: set[str]) -> str:
    """Returns the spelling that sources know, unless another column has it."""
    parts = [_spell_part(part) for part in _PARTS.split(name)]
    spelt = ".".join(parts)
    return name if spelt in given else spelt


def _spell_part(part: str) -> str:
    folded = _fold(part)
    if part == folded or part in _SPELLINGS.values():
        return part  # as a tool spells it
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
