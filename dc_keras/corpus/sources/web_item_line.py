"""The quick way to read a web item: straight from a line of JSON, if nothing is odd.

Files of millions of lines are web items nearly always, and nearly all of them whole.
Such a line is decoded into the few keys that matter; the others are skipped unread.
Whatever is missing, of another type or of another shape makes `read_line` give up, and
the line is read like any other. Both ways give the same post, which tests compare.
"""

from __future__ import annotations

from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from dc_keras.corpus.sources.fields import looks_rounded
from dc_keras.corpus.sources.post import Person, Post

# What is mended, and what means that there is nothing.
_ESCAPED, _REDACTED = rb"\\u", "REDACTED"
# Keys by which a line is something else or tells more than a post.
_ODD_KEYS = (
    *("liveRoomInfo", "imagePost", "extra", "timestamp_collected", "source_platform"),
    *("__import_meta", "__collect_meta", "itemInfos", "aweme_id", "authorMeta"),
)
# Under names of our own: a field may not begin with two underscores.
_ODD = {f"odd_{number}": key for number, key in enumerate(_ODD_KEYS)}

_LONGEST_S = 1e9
_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_CountText = Annotated[str, Meta(min_length=1, max_length=18)]
_Seconds = Annotated[float, Meta(ge=0)]
_MaybeText = str | UnsetType
_Nothing = Literal["\0"] | UnsetType


def _struct(name: str, /, **fields: Any) -> Any:
    """Returns a type of objects of which these keys are read; null is no value."""
    given = [
        (key, kind, UNSET) if "UnsetType" in str(kind) else (key, kind)
        for key, kind in fields.items()
    ]
    return msgspec.defstruct(name, given, kw_only=True, gc=False, rename=_ODD.get)


def _list_of(name: str, /, **fields: Any) -> Any:
    return GenericAlias(list, (_struct(name, **fields),))


_COUNTS = ("playCount", "diggCount", "commentCount", "shareCount")
_EXACT = (*_COUNTS, "collectCount")
_STATS = {**dict.fromkeys(_COUNTS, _Count), "collectCount": _Count | UnsetType}
_ITEM = _struct(
    "Item",
    id=str,
    desc=_Text,
    createTime=_Count,
    author=_struct(
        "Author", id=_Text, uniqueId=_Text, secUid=_Text, nickname=_MaybeText
    ),
    nickname=_MaybeText,
    music=_struct(
        "Music",
        id=_Text,
        title=_Text,
        original=bool | UnsetType,
        authorName=_MaybeText,
    ),
    video=_struct("Video", duration=_Seconds),
    # The exact counts are numbers in texts.
    statsV2=_struct("StatsV2", **dict.fromkeys(_EXACT, _CountText)) | UnsetType,
    stats=_struct("Stats", **_STATS),
    challenges=_list_of("Challenge", title=_MaybeText) | UnsetType,
    textExtra=_list_of("Extra", hashtagName=_MaybeText, userUniqueId=_MaybeText),
    effectStickers=_list_of("Sticker", name=_MaybeText) | UnsetType,
    duetInfo=_struct("Duet", duetFromId=str) | UnsetType,
    locationCreated=_MaybeText,
    textLanguage=_MaybeText,
    **dict.fromkeys(_ODD, _Nothing),
)
_DECODER = msgspec.json.Decoder(_ITEM)


def read_line(line: bytes) -> Post | None:
    """Reads a line that is one whole web item; None where anything is odd."""
    # One byte is found four times as fast as three, and most lines have none.
    if b"\\" in line and _ESCAPED in line:
        return None
    try:
        item = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if _is_odd(item) else _read(item)


def _is_odd(item: Any) -> bool:
    """Whether an id or a handle is not as plain as they mostly are."""
    author, music, exact = item.author, item.music, item.statsV2
    video_id, handle = item.id, author.uniqueId
    ids = (video_id, author.id, music.id)
    digits = "".join(ids)
    if item.duetInfo is not UNSET:
        digits += item.duetInfo.duetFromId
    if exact is not UNSET:
        digits += (
            f"{exact.playCount}{exact.diggCount}{exact.commentCount}"
            f"{exact.shareCount}{exact.collectCount}"
        )
    texts = (item.desc, handle, author.secUid, music.title)
    places = (item.locationCreated, item.textLanguage)
    return (
        not (digits.isdecimal() and digits.isascii())
        or "0" in ids
        or not 0 < len(video_id) < 20
        or looks_rounded(int(video_id))
        or handle[0] == "@"
        or handle != handle.strip()
        or item.video.duration > _LONGEST_S
        or _REDACTED in texts
        or _REDACTED in places
    )


def _read(item: Any) -> Post:
    author, music = item.author, item.music
    exact = item.statsV2
    stats, count = (item.stats, _or_none) if exact is UNSET else (exact, int)
    region, language, duet = item.locationCreated, item.textLanguage, item.duetInfo
    saves = stats.collectCount
    duet_of = "0" if duet is UNSET else duet.duetFromId
    hashtags, mentions = [], []
    for extra in item.textExtra:
        if extra.hashtagName:
            hashtags.append(extra.hashtagName)
        if extra.userUniqueId:
            mentions.append(extra.userUniqueId)
    if item.challenges:
        hashtags += [entry.title for entry in item.challenges if entry.title]
    names = (author.nickname, item.nickname, music.authorName)
    # In the order of its fields: by their names it takes three times as long.
    return Post(
        item.id,
        Person(author.id, author.uniqueId, author.secUid),
        item.desc,
        item.createTime,
        tuple(hashtags),
        _gaps(item, saves) if UNSET in (region, language, saves, duet) else (),
        tuple(mentions),
        music.id,
        music.title,
        _or_none(music.original),
        tuple(filter(None, names)),
        item.video.duration,
        count(stats.playCount),
        count(stats.diggCount),
        count(stats.commentCount),
        count(stats.shareCount),
        count(saves),
        None if duet_of in ("", "0") else duet_of,
        tuple([s.name for s in item.effectStickers or () if s.name]),
        region or None,
        language or None,
    )


def _gaps(item: Any, saves: Any) -> tuple[str, ...]:
    found = {
        "missing.saves": saves,
        "missing.duet_of": item.duetInfo,
        "missing.region": item.locationCreated,
        "missing.language": item.textLanguage,
    }
    return tuple([note for note, value in found.items() if value is UNSET])


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value
