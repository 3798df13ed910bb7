"""Unwraps the answers, pages and capture files that posts come in.

    itemInfo.itemStruct, itemStruct           one post of the web API and of pages
    __DEFAULT_SCOPE__["webapp.video-detail"]  page state, since 2023
    ItemModule {id: post}                     page state of 2022 (SIGI_STATE)
    props.pageProps                           page state of 2020 (__NEXT_DATA__)
    itemList, item_list, items, data          lists of posts
    body.itemListData                         lists of 2019 and 2020
    data[].item                               search answers
    {source_platform, data: post}             a line of Zeeschuimer
    {…post, __import_meta}                    a line of 4CAT

Lists may nest: a file of whole answers is as good as one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_LISTS = ("itemList", "item_list", "items", "data")
_WRAPPERS = (
    ("itemInfo",),
    ("itemStruct",),
    ("__DEFAULT_SCOPE__",),
    ("webapp.video-detail",),
    ("props", "pageProps"),
    ("body", "itemListData"),
    ("item",),
    *((name,) for name in _LISTS),
)
_MAX_DEPTH = 12
_ZEESCHUIMER_PLATFORM = "tiktok.com"


@dataclass(frozen=True, slots=True)
class Found:
    """One record out of a container.

    Attributes:
        position: where in the document: `itemList[3]`; "" for the document itself.
        record: the raw record.
        collected_at: when the export saw it, UTC seconds, as its container says.
        reason: why it is no post, if the container already tells.
    """

    position: str
    record: Any
    collected_at: int | None = None
    reason: str | None = None


def unwrap(
    document: Any,
    is_record: Callable[[dict[str, Any]], bool],
    *,
    position: str = "",
    collected_at: int | None = None,
) -> Iterator[Found]:
    """Yields every record of a document, and what is none with a reason.

    Args:
        document: parsed JSON.
        is_record: whether an object has the shape of a post.
        position: where the document lies in what holds it.
        collected_at: what the outer container says, UTC seconds.
    """
    is_deep = position.count(".") + position.count("[") > _MAX_DEPTH
    if isinstance(document, list) and not is_deep:
        for index, entry in enumerate(document):
            yield from unwrap(
                entry,
                is_record,
                position=f"{position}[{index}]",
                collected_at=collected_at,
            )
        return
    if not isinstance(document, dict):
        kind = f"a {type(document).__name__} where a post was expected"
        yield Found(position, document, collected_at, kind)
        return
    stamp = _collected_at(document)
    collected_at = collected_at if stamp is None else stamp
    reason = _foreign(document)
    if reason is not None or is_record(document):
        yield Found(position, document, collected_at, reason)
        return
    inner = _inside(document)
    if inner is None or is_deep:
        yield Found(position, document, collected_at, _no_post_reason(document))
        return
    name, content = inner
    path = f"{position}.{name}" if position else name
    yield from unwrap(content, is_record, position=path, collected_at=collected_at)


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
    return None


def _collected_at(document: dict[str, Any]) -> int | None:
    """Returns the container's own stamp (milliseconds there) in seconds."""
    stamps = (
        document.get("timestamp_collected"),
        _child(document, "__import_meta", "timestamp_collected"),
        _child(document, "extra", "now"),
    )
    for stamp in stamps:
        text = str(stamp)
        if not isinstance(stamp, bool) and text.isdecimal() and len(text) < 17:
            return int(text) // 1000
    return None


def _child(document: dict[str, Any], key: str, inner: str) -> Any:
    child = document.get(key)
    return child.get(inner) if isinstance(child, dict) else None


def _foreign(document: dict[str, Any]) -> str | None:
    platform = document.get("source_platform")
    if platform is None or platform == _ZEESCHUIMER_PLATFORM:
        return None
    return "captured on another platform than tiktok.com"


def _no_post_reason(document: dict[str, Any]) -> str:
    for key in ("statusCode", "status_code"):
        code = document.get(key)
        if isinstance(code, int) and code != 0:
            return f"an answer without posts ({key} {code})"
    return "unknown shape"
