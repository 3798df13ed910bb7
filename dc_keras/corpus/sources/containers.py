"""Unwraps the answers, pages and capture files that records come in.

    itemInfo.itemStruct, itemStruct           one post of the web API and of pages
    __DEFAULT_SCOPE__["webapp.video-detail"]  page state, since 2023
    ItemModule {id: post}                     page state of 2022 (SIGI_STATE)
    props.pageProps                           page state of 2020 (__NEXT_DATA__)
    itemList, item_list, items, data          lists of posts
    aweme_list, aweme_detail, comments        answers of the app
    body.itemListData                         lists of 2019 and 2020
    data[].item                               search answers
    data.videos, data.user_followers, …       answers of the Research API
    collector, entries                        tiktok-scraper; a playlist of yt-dlp
    body[].exploreList[].cardItem             suggestions
    {handle: user}                            users.json of whichtok
    {source_platform, data: post}             a line of Zeeschuimer
    {…post, __import_meta}                    a line of 4CAT
    {__collect_meta, data: answer}            a line of `pipelines.collect`

Lists may nest: a file of whole answers is as good as one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from dc_keras.corpus.sources.post import Asked, Person, Source

_LISTS = (
    *("itemList", "item_list", "items", "aweme_list", "videos", "comments"),
    *("user_followers", "user_following", "user_liked_videos", "reposted_videos"),
    *("pinned_videos_list", "collector", "entries", "exploreList", "data"),
)
_WRAPPERS = (
    ("itemInfo",),
    ("itemStruct",),
    ("aweme_detail",),
    ("__DEFAULT_SCOPE__",),
    ("webapp.video-detail",),
    ("props", "pageProps"),
    ("body", "itemListData"),
    ("item",),
    ("cardItem",),
    *((name,) for name in _LISTS),
    ("body",),
)
_MAX_DEPTH = 12
_ZEESCHUIMER_PLATFORM = "tiktok.com"
_NOTHING_ASKED = Asked()
_KINDS = {
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


@dataclass(slots=True)
class Found:
    """One record out of a container.

    Attributes:
        record: the raw record.
        position: where in the document: `itemList[3]`; "" for the document itself.
        source: whose shape it has; None where there is a reason.
        reason: why it is no record of any source.
        collected_at: when the export saw it, UTC seconds, as its container says.
        asked: what its container says about the request.
    """

    record: Any
    position: str = ""
    source: Source | None = None
    reason: str | None = None
    collected_at: int | None = None
    asked: Asked = _NOTHING_ASKED


def unwrap(
    document: Any, sniff: Callable[[dict[str, Any]], Source | None]
) -> Iterator[Found]:
    """Yields every record of a document, and what is none with a reason.

    Args:
        document: parsed JSON, or a row of a table.
        sniff: tells whose shape an object has, None for nobody's.
    """
    return _unwrap(Found(document), sniff, 0)


def _unwrap(
    outer: Found, sniff: Callable[[dict[str, Any]], Source | None], depth: int
) -> Iterator[Found]:
    """Yields what is in `outer.record`, with what its containers say so far."""
    document = outer.record
    if depth > _MAX_DEPTH:
        yield replace(outer, reason=f"containers nested deeper than {_MAX_DEPTH}")
        return
    if isinstance(document, list):
        for index, entry in enumerate(document):
            place = f"{outer.position}[{index}]"
            yield from _unwrap(
                replace(outer, record=entry, position=place), sniff, depth + 1
            )
        return
    if not isinstance(document, dict):
        kind = _KINDS.get(type(document), "something else")
        yield replace(outer, reason=f"{kind} where a post was expected")
        return
    outer = _with_what_it_says(outer, document)
    foreign = _foreign(document)
    source = sniff(document) if foreign is None else None
    if source is not None:
        yield replace(outer, source=source)
        return
    inner = _inside(document) if foreign is None else None
    if inner is None:
        yield replace(outer, reason=foreign or _no_record_reason(document))
        return
    name, content = inner
    place = f"{outer.position}.{name}" if outer.position else name
    asked = replace(outer.asked, list_name=name)
    yield from _unwrap(
        replace(outer, record=content, position=place, asked=asked), sniff, depth + 1
    )


def _inside(document: dict[str, Any]) -> tuple[str, Any] | None:
    """Returns the first container key that holds something, and what it holds."""
    module = document.get("ItemModule")
    if isinstance(module, dict):
        return "ItemModule", list(module.values())
    for path in _WRAPPERS:
        value: Any = document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict | list):
            return ".".join(path), value
    if document and all(map(_is_whichtok_user, document.values())):
        return "users", list(document.values())
    return None


def _is_whichtok_user(value: object) -> bool:
    return isinstance(value, dict) and "used_hashtags" in value


def _with_what_it_says(outer: Found, document: dict[str, Any]) -> Found:
    """Adds the container's own stamp, and of our collector's lines the seed."""
    meta = document.get("__collect_meta")
    if isinstance(meta, dict):
        stamp = meta.get("collected_at")
        seed = _seed(meta.get("seed"))
        outer = replace(outer, asked=replace(outer.asked, seed=seed))
        return outer if type(stamp) is not int else replace(outer, collected_at=stamp)
    for stamp in (
        document.get("timestamp_collected"),
        _child(document, "__import_meta", "timestamp_collected"),
        _child(document, "extra", "now"),
    ):
        if stamp is None or isinstance(stamp, bool):
            continue
        text = str(stamp)
        if text.isdecimal() and len(text) < 17:
            return replace(outer, collected_at=int(text) // 1000)  # milliseconds
    return outer


def _seed(value: object) -> Person | None:
    if not isinstance(value, dict):
        return None
    user_id, handle = (_text(value.get(key)) for key in ("user_id", "handle"))
    return Person(user_id, handle) if user_id or handle else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _child(document: dict[str, Any], key: str, inner: str) -> Any:
    child = document.get(key)
    return child.get(inner) if isinstance(child, dict) else None


def _foreign(document: dict[str, Any]) -> str | None:
    platform = document.get("source_platform")
    if platform is None or platform == _ZEESCHUIMER_PLATFORM:
        return None
    return "captured on another platform than tiktok.com"


def _no_record_reason(document: dict[str, Any]) -> str:
    for key in ("statusCode", "status_code"):
        code = document.get(key)
        if isinstance(code, int) and code != 0:
            return f"an answer without posts ({key} {code})"
    code = _child(document, "error", "code")
    if isinstance(code, str) and code.isidentifier() and code != "ok":
        return f"an answer without posts (error {code})"
    return "unknown shape"
