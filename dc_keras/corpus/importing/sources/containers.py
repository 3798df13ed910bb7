"""Extracts raw records from the API answers, pages and capture files around them.

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
    log.entries[].response.content.text       answers that a browser recorded (HAR)
    body[].exploreList[].cardItem             suggestions
    {handle: user}                            users.json of whichtok
    {source_platform, data: post}             a line of Zeeschuimer
    {…post, __import_meta}                    a line of 4CAT
    {__collect_meta, data: answer}            a line of `pipelines.collect`

Containers may be nested, e.g. in a list of answers. Values under other names are
searched for records too, including JSON in strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from dc_keras.corpus.importing.sources import foreign, pages, shapes
from dc_keras.corpus.importing.sources.json_repair import DAMAGED, TruncatedObject
from dc_keras.corpus.importing.sources.post import Person, RequestContext, Row, Source

_LISTS = (
    *("itemList", "item_list", "items", "aweme_list", "videos", "comments"),
    *("user_followers", "user_following", "user_liked_videos", "reposted_videos"),
    *("pinned_videos_list", "collector", "entries", "exploreList", "data"),
)
# If no part of an object has a record, the first of these gives the reasons.
_CONTAINERS = (
    *("itemInfo", "itemStruct", "aweme_detail", "__DEFAULT_SCOPE__"),
    *("webapp.video-detail", "item", "cardItem", *_LISTS, "body"),
)
_MODULE = "ItemModule"
_MAX_DEPTH = 12
_END_OF_TIME = 10**10  # UTC seconds; the year 2286
_NO_CONTEXT = RequestContext()
_KINDS = {
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


_Sniff: TypeAlias = Callable[[dict[str, Any]], Source | None]


@dataclass(slots=True)
class ContainedRecord:
    """One record of a container.

    Attributes:
        record: the raw record.
        position: position in the document, e.g. `itemList[3]`; "" for the document
            itself.
        source: the source that matches the record; None if there is a reason.
        reason: why no source can read the record.
        collected_at: collection time from its container, UTC seconds.
        context: the request that the container answers.
        is_refused: whether the record is known not to be a post of TikTok.
    """

    record: Any
    position: str = ""
    source: Source | None = None
    reason: str | None = None
    collected_at: int | None = None
    context: RequestContext = _NO_CONTEXT
    is_refused: bool = False

    @property
    def is_recognised(self) -> bool:
        """Whether it is known what the record is."""
        return self.source is not None or self.is_refused


def unwrap(document: Any, sniff: _Sniff) -> Iterator[ContainedRecord]:
    """Yields every record of a document, with its source or a reason.

    Args:
        document: parsed JSON, or a row of a table.
        sniff: returns the source that matches an object, None if none does.
    """
    return _unwrap(ContainedRecord(document), sniff, 0)


def _unwrap(
    outer: ContainedRecord, sniff: _Sniff, depth: int
) -> Iterator[ContainedRecord]:
    """Yields the records in `outer.record`, with the data of the outer containers."""
    document = outer.record
    if depth > _MAX_DEPTH:
        yield replace(outer, reason=f"containers nested deeper than {_MAX_DEPTH}")
    elif isinstance(document, list):
        yield from _unwrap_list(outer, sniff, depth)
    elif isinstance(document, dict):
        yield from _unwrap_object(outer, sniff, depth)
    else:
        inner = _parse_json_text(document)
        if inner is not None:
            yield from _unwrap(replace(outer, record=inner), sniff, depth + 1)
        else:
            kind = _KINDS.get(type(document), "something else")
            yield replace(outer, reason=f"{kind} where a post was expected")


def _unwrap_list(
    outer: ContainedRecord, sniff: _Sniff, depth: int
) -> Iterator[ContainedRecord]:
    entries = outer.record
    rows = shapes.rows_below_names(entries, lambda row: sniff(row) is not None)
    if rows is None and _is_gallery_dl_message(entries):
        place = f"{outer.position}[{len(entries) - 1}]"
        inner = replace(outer, record=entries[-1], position=place)
        yield from _unwrap(inner, sniff, depth + 1)
        return
    for index, entry in enumerate(entries if rows is None else rows):
        inner = replace(outer, record=entry, position=f"{outer.position}[{index}]")
        yield from _unwrap(inner, sniff, depth + 1)


def _unwrap_object(
    outer: ContainedRecord, sniff: _Sniff, depth: int
) -> Iterator[ContainedRecord]:
    document = shapes.restore_record(outer.record)
    outer = _with_metadata(replace(outer, record=document), document)
    reason = foreign.rejection_reason(document)
    if reason is not None:
        yield replace(outer, reason=reason, is_refused=True)
        return
    rows = shapes.rows_of_columns(document, lambda row: sniff(row) is not None)
    source = sniff(document) if rows is None else None
    if source is not None:
        # The reader reports the truncation of the file.
        if not isinstance(document, TruncatedObject):
            yield replace(outer, source=source)
    elif pages.is_har(document):
        yield from _unwrap_har(outer, sniff, depth)
    else:
        parts = _list_parts(document) if rows is None else [("", list(rows))]
        yield from _unwrap_parts(outer, parts, sniff, depth)


def _unwrap_parts(
    outer: ContainedRecord, parts: list[tuple[str, Any]], sniff: _Sniff, depth: int
) -> Iterator[ContainedRecord]:
    """Yields the records of the parts that have any, otherwise a reason."""
    document, with_records, reasons = outer.record, False, None
    for name, content in parts:
        place = f"{outer.position}.{name}" if outer.position and name else name
        inner = replace(
            outer,
            record=content,
            position=place or outer.position,
            context=replace(outer.context, list_name=name),
        )
        found = list(_unwrap(inner, sniff, depth + 1))
        if any(record.is_recognised for record in found):
            with_records = True
            yield from found
        elif reasons is None and (name in _CONTAINERS or name == _MODULE):
            reasons = found
    if with_records:
        return
    error = _describe_error(document)
    if error is not None:
        yield replace(outer, reason=error)
    elif reasons is not None:
        yield from reasons
    elif not isinstance(document, TruncatedObject):
        yield replace(outer, reason="unknown shape")


def _unwrap_har(
    outer: ContainedRecord, sniff: _Sniff, depth: int
) -> Iterator[ContainedRecord]:
    """Yields the records of a browser recording; most of its entries have none."""
    is_any = False
    for answer in pages.iter_answers(outer.record):
        inner = replace(
            outer,
            record=answer.value,
            position=answer.position,
            collected_at=answer.time,
        )
        found = list(_unwrap(inner, sniff, depth + 1))
        has_posts = any(record.is_recognised for record in found)
        is_any |= has_posts
        if answer.reason is not None:
            if has_posts:
                yield replace(inner, reason=answer.reason)
            continue
        if has_posts:
            yield from found
        if answer.is_cut:
            yield replace(inner, reason=DAMAGED)
    if not is_any:
        yield replace(outer, reason="an HAR file without an answer that has posts")


def _list_parts(document: dict[str, Any]) -> list[tuple[str, Any]]:
    """Returns name and content of the parts of a container, known ones first."""
    module = document.get(_MODULE)
    if isinstance(module, dict):
        return [(_MODULE, list(module.values()))]
    if document and all(map(_is_whichtok_user, document.values())):
        return [("users", list(document.values()))]
    names = [
        name for name in _CONTAINERS if isinstance(document.get(name), dict | list)
    ]
    names = list(dict.fromkeys((*names[:1], *document)))
    parts = [(name, document[name]) for name in names]
    if isinstance(document, Row):
        # Values of a row were texts too.
        kind = type(document)
        parts = [(n, kind(v) if isinstance(v, dict) else v) for n, v in parts]
    return [(name, v) for name, v in parts if isinstance(v, dict | list | str)]


def _parse_json_text(value: object) -> Any:
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict | list) else None


def _is_gallery_dl_message(entries: list[Any]) -> bool:
    """Whether a list is a message of gallery-dl: a number, optional text, an object."""
    return (
        2 <= len(entries) <= 3
        and type(entries[0]) is int
        and isinstance(entries[-1], dict)
        and all(isinstance(entry, str) for entry in entries[1:-1])
    )


def _is_whichtok_user(value: object) -> bool:
    return isinstance(value, dict) and "used_hashtags" in value


def _with_metadata(outer: ContainedRecord, document: dict[str, Any]) -> ContainedRecord:
    """Adds the collection time of the container and, for our collector, the seed."""
    meta = document.get("__collect_meta")
    if isinstance(meta, dict):
        stamp = meta.get("collected_at")
        seed = _seed(meta.get("seed"))
        outer = replace(outer, context=replace(outer.context, seed=seed))
        is_time = type(stamp) is int and 0 <= stamp < _END_OF_TIME
        return replace(outer, collected_at=stamp) if is_time else outer
    for stamp in (
        document.get("timestamp_collected"),
        _child(document, "__import_meta", "timestamp_collected"),
        _child(document, "extra", "now"),
    ):
        if stamp is None or isinstance(stamp, bool):
            continue
        text = str(stamp)
        if text.isascii() and text.isdecimal() and len(text) < 14:
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


def _describe_error(document: dict[str, Any]) -> str | None:
    for key in ("statusCode", "status_code"):
        code = document.get(key)
        if isinstance(code, int) and code != 0:
            return f"an answer without posts ({key} {code})"
    code = _child(document, "error", "code")
    if isinstance(code, str) and code.isidentifier() and code != "ok":
        return f"an answer without posts (error {code})"
    return None
