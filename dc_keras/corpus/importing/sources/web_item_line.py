"""A fast reader of web items: decodes regular lines of JSON directly to columns.

Large files nearly always consist of web items, and nearly all of those are regular.
Such a line is decoded into the required keys only. If a value is missing, has another
type or another form, the line is read by the general reader instead. Both readers give
the same posts, which is tested. Checks and conversions are vectorised over many lines.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, compress, groupby
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from dc_keras.corpus.importing.sources.fields import NOT_IN_HANDLES
from dc_keras.corpus.importing.sources.mention_spans import is_handle
from dc_keras.corpus.importing.sources.post import Person, PostColumns
from dc_keras.corpus.importing.sources.values import FIRST_ID, find_rounded
from dc_keras.corpus.records import has_mentions

# Escapes that need a repair, and the placeholder for missing values.
_ESCAPED, _REDACTED = rb"\\u", "REDACTED"
# Keys of other formats, or of posts with further content.
_IRREGULAR_KEYS = (
    *("liveRoomInfo", "imagePost", "extra", "timestamp_collected", "source_platform"),
    *("__import_meta", "__collect_meta", "itemInfos", "aweme_id", "authorMeta"),
    "platform",
)
# Field names for these keys, because a field may not begin with two underscores.
_IRREGULAR = {f"irregular_{number}": key for number, key in enumerate(_IRREGULAR_KEYS)}

# Compared as text with ids of 19 digits; shorter ids are left to the general reader.
_FIRST_ID = str(FIRST_ID)
_LONGEST_S = 1e9
_Text = Annotated[str, Meta(min_length=1)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Time = Annotated[int, Meta(ge=0, lt=10**11)]  # larger values are milliseconds
_CountText = Annotated[str, Meta(min_length=1, max_length=18)]
_Seconds = Annotated[float, Meta(ge=0)]


class _Maybe(NamedTuple):
    """An optional key; its default is None, and null is not accepted."""

    kind: Any


_MaybeText = _Maybe(str)
_Offset = _Maybe(Annotated[int, Meta(ge=0)])
_Nothing = _Maybe(Literal["\0"])
_Notes: TypeAlias = tuple[str, ...]
# The values of `_PATHS` and `_EXACT`, one an item.
_Given: TypeAlias = Mapping[str, Sequence[Any]]


def _struct(name: str, /, **fields: Any) -> Any:
    """Returns a struct type with these keys; null is not accepted."""
    given = [
        (key, kind.kind, None) if isinstance(kind, _Maybe) else (key, kind)
        for key, kind in fields.items()
    ]
    return msgspec.defstruct(name, given, kw_only=True, gc=False, rename=_IRREGULAR.get)


def _list_of(name: str, /, **fields: Any) -> Any:
    return GenericAlias(list, (_struct(name, **fields),))


_ACCOUNT_KEYS = {
    "followers": "followerCount",
    "hearts": "heartCount",
    "total_posts": "videoCount",
}


class _Account(msgspec.Struct, gc=False, rename=_ACCOUNT_KEYS):
    """`authorStats`, with the attributes of an `AccountCounts`."""

    followers: _Count | None = None
    hearts: _Count | None = None
    heart: _Count | None = None
    total_posts: _Count | None = None

    @property
    def total_likes(self) -> int | None:
        return self.heart if self.hearts is None else self.hearts


_COUNTS = ("playCount", "diggCount", "commentCount", "shareCount")
_EXACT = (*_COUNTS, "collectCount")
_STATS = {**dict.fromkeys(_COUNTS, _Count), "collectCount": _Maybe(_Count)}
_ITEM = _struct(
    "Item",
    id=str,
    desc=_Text,
    createTime=_Time,
    author=_struct(
        "Author", id=_Text, uniqueId=_Text, secUid=_Text, nickname=_MaybeText
    ),
    nickname=_MaybeText,
    authorStats=_Maybe(_Account),
    music=_struct(
        "Music",
        id=_Text,
        title=_Text,
        original=_Maybe(bool),
        authorName=_MaybeText,
    ),
    video=_struct("Video", duration=_Seconds),
    # The exact counts are texts.
    statsV2=_Maybe(_struct("StatsV2", **dict.fromkeys(_EXACT, _CountText))),
    stats=_struct("Stats", **_STATS),
    # Without a title, other names of a challenge count.
    challenges=_Maybe(_list_of("Challenge", title=_Text)),
    textExtra=_list_of(
        "Extra",
        **dict.fromkeys(("hashtagName", "userUniqueId", "userId"), _MaybeText),
        **dict.fromkeys(("start", "end"), _Offset),
    ),
    effectStickers=_Maybe(_list_of("Sticker", name=_MaybeText)),
    duetInfo=_Maybe(_struct("Duet", duetFromId=str)),
    locationCreated=_MaybeText,
    textLanguage=_MaybeText,
    **dict.fromkeys(_IRREGULAR, _Nothing),
)
_DECODER = msgspec.json.Decoder(_ITEM)

_MAY_BE_MISSING = {
    "saves": "collectCount",
    "duet_of": "duetInfo",
    "region": "locationCreated",
    "language": "textLanguage",
}
_PATHS = (
    *("id", "desc", "createTime", "author.id", "author.uniqueId", "author.secUid"),
    *("author.nickname", "nickname", "music.id", "music.title", "music.original"),
    *("music.authorName", "video.duration", "statsV2", "stats", "textExtra"),
    *("challenges", "effectStickers", "duetInfo", "locationCreated", "textLanguage"),
    "authorStats",
)
_AUTHOR = ("author.id", "handle", "author.secUid")
_NAMES = ("author.nickname", "nickname", "music.authorName")
# Texts that may contain a placeholder or a NUL.
_TEXTS = (
    *("desc", "author.uniqueId", "author.secUid", "music.title"),
    *("locationCreated", "textLanguage"),
)
_get_values = attrgetter(*_PATHS)
_GET_COUNT = {name: attrgetter(name) for name in _EXACT}


def read_lines(lines: Sequence[bytes]) -> Iterator[PostColumns | None]:
    """Reads lines of one web item each.

    Yields:
        In order, the posts of consecutive regular lines, and None for each other line.
    """
    decoded = enumerate(map(_decode, lines))
    items = {number: item for number, item in decoded if item is not None}
    given = _by_path(items.values())
    if items and _is_any_irregular(given):
        irregular = set(_find_irregular(given, 0, len(items)))
        items = {
            n: i for row, (n, i) in enumerate(items.items()) if row not in irregular
        }
        given = _by_path(items.values())
    columns = _columns(given) if items else {}
    if items and len(items) == len(lines):
        yield columns  # the usual case
        return
    end = 0
    for is_plain, run in groupby(range(len(lines)), items.__contains__):
        if not is_plain:
            yield from (None for _ in run)
            continue
        start, end = end, end + len(list(run))
        yield {name: column[start:end] for name, column in columns.items()}


def _decode(line: bytes) -> tuple[Any, ...] | None:
    """Returns the values of `_PATHS`, None if the line is not regular."""
    # Searching one byte is four times as fast as three, and most lines have none.
    if b"\\" in line and _ESCAPED in line:
        return None
    try:
        # The values are extracted at once, while the item is in the processor's cache.
        return _get_values(_DECODER.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _by_path(items: Collection[tuple[Any, ...]]) -> _Given:
    if not items:
        return {}
    columns = zip(*items, strict=True)
    given: dict[str, Sequence[Any]] = dict(zip(_PATHS, columns, strict=True))
    stats = [v2 or v1 for v2, v1 in zip(given["statsV2"], given["stats"], strict=True)]
    given |= {name: list(map(get, stats)) for name, get in _GET_COUNT.items()}
    given["handle"] = [h.strip().removeprefix("@") for h in given["author.uniqueId"]]
    return given


def _find_irregular(given: _Given, start: int, end: int) -> Iterator[int]:
    """Yields the irregular rows by bisection, because there are few."""
    rows = {name: column[start:end] for name, column in given.items()}
    if start < end and _is_any_irregular(rows):
        if end - start == 1:
            yield start
            return
        middle = (start + end) // 2
        yield from _find_irregular(given, start, middle)
        yield from _find_irregular(given, middle, end)


def _is_any_irregular(given: _Given) -> bool:
    ids = (given["id"], given["author.id"], given["music.id"])
    duets = [duet.duetFromId for duet in given["duetInfo"] if duet]
    exact = [compress(given[name], given["statsV2"]) for name in _EXACT]
    digits = "".join(chain(*ids, duets, *exact))
    texts = "\n".join(filter(None, chain(*(given[path] for path in _TEXTS))))
    return (
        not (digits.isascii() and digits.encode().isdigit())
        or any("0" in column for column in ids)
        or max(map(len, given["id"])) > len(_FIRST_ID)
        or min(given["id"]) < _FIRST_ID  # includes ""
        or not all(given["handle"])
        or NOT_IN_HANDLES.search("".join(given["handle"])) is not None
        or "\0" in texts
        or _REDACTED in texts
        or max(given["video.duration"]) > _LONGEST_S
        or not all(map(_shows_handles, given["desc"], given["textExtra"]))
    )


def _shows_handles(caption: str, links: Sequence[Any]) -> bool:
    """Whether no mention in a caption is a display name."""
    if not has_mentions(caption):
        return True
    for link in links:
        if link.hashtagName and not link.userUniqueId and not link.userId:
            continue
        if link.start is None or link.end is None:
            continue
        if not is_handle(caption, link.start, link.end, link.userUniqueId or ""):
            return False
    return True


def _columns(given: _Given) -> PostColumns:
    size = len(given["id"])
    views, likes, comments, shares = (list(map(int, given[name])) for name in _COUNTS)
    names = zip(*(given[path] for path in _NAMES), strict=True)
    return {
        "video_id": given["id"],
        "author": list(map(Person, *(given[path] for path in _AUTHOR))),
        "caption": given["desc"],
        "create_time": given["createTime"],
        "hashtags": list(map(_tags, given["textExtra"], given["challenges"])),
        "notes": _notes(given),
        "mentions": list(map(_mentions, given["textExtra"])),
        "music_id": given["music.id"],
        "music_title": given["music.title"],
        "music_is_original": given["music.original"],
        "private_names": [tuple(filter(None, row)) for row in names],
        "duration_s": given["video.duration"],
        "views": views,
        "likes": likes,
        "comments": comments,
        "shares": shares,
        "saves": [count and int(count) for count in given["collectCount"]],
        "duet_of": list(map(_duet_of, given["duetInfo"])),
        "effects": [_effects(s) if s else () for s in given["effectStickers"]],
        "region": [region or None for region in given["locationCreated"]],
        "language": [language or None for language in given["textLanguage"]],
        **dict.fromkeys(("stitch_of", "transcript"), [None] * size),
        "is_slideshow": [False] * size,
        "edges": [()] * size,
        "account": given["authorStats"],
    }


def _tags(links: Sequence[Any], listed: Sequence[Any] | None) -> tuple[str, ...]:
    linked = [link.hashtagName for link in links if link.hashtagName]
    titles = [challenge.title for challenge in listed or ()]
    # Usually both lists are equal.
    return tuple(linked) if linked == titles else (*linked, *titles)


def _mentions(links: Sequence[Any]) -> tuple[str, ...]:
    return tuple([link.userUniqueId for link in links if link.userUniqueId])


def _effects(stickers: Sequence[Any]) -> tuple[str, ...]:
    return tuple([sticker.name for sticker in stickers if sticker.name])


def _duet_of(duet: Any) -> str | None:
    return None if duet is None or duet.duetFromId == "0" else duet.duetFromId or None


def _notes(given: _Given) -> list[_Notes]:
    """Returns the notes of each item; most items have none."""
    notes: list[_Notes] = [()] * len(given["id"])
    for row in find_rounded(given["id"]):
        notes[row] = ("maybe_rounded.video_id",)
    for name, path in _MAY_BE_MISSING.items():
        if not all(given[path]):  # values may be 0 too
            for row, value in enumerate(given[path]):
                if value is None:
                    notes[row] = (*notes[row], f"missing.{name}")
    return notes
