"""Restores records that a tool transposed, wrapped or flattened.

pandas writes columns first, mongoexport wraps numbers, and several tools flatten the
objects of a post into names such as `author.uniqueId` or `stats_playCount`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dc_keras.corpus.importing.sources.headers import column_paths
from dc_keras.corpus.importing.sources.post import Row
from dc_keras.corpus.importing.sources.tables import put_cell

_HEADS = frozenset(
    {"author", "authorMeta", "authorStats", "authorStatsV2", "music", "musicMeta"}
    | {"videoMeta", "video", "stats", "statsV2", "statistics", "data", "itemInfos"}
    | {"authorInfos", "musicInfos", "textExtra", "challenges", "duetInfo", "user"}
    | {"music_info", "item", "itemStruct", "aweme", "aweme_info", "hashtags"}
)
_FLATTENED = (
    *("author_", "authorStats_", "authorStatsV2_", "music_", "challenges_"),
    *("textExtra_", "stats_", "statsV2_", "video_", "duetInfo_", "effectStickers_"),
    *("imagePost_", "statistics_", "text_extra_", "cha_list_"),
)
_DISTINCTIVE_FLATTENED = (
    "author_uniqueId",
    "author_id",
    "authorStats_followerCount",
    "textExtra_0_hashtagName",
)
_COLUMNS = ("columns", "fields", "header", "headers")
_ROWS = ("data", "rows", "values")
_MONGO_NUMBERS = ("$numberInt", "$numberLong", "$numberDouble", "$numberDecimal")
_MAX_DEPTH = 60


def restore_record(record: dict[str, Any]) -> dict[str, Any]:
    """Returns a record with flattened and wrapped values in their original places."""
    if any(_is_wrapped(value) for value in record.values()):
        record = {key: _unwrap_mongo(value, 0) for key, value in record.items()}
    if any(("." in key or "/" in key) and _head(key) in _HEADS for key in record):
        paths = column_paths(list(record))
        return _nested(record, list(zip(paths, record.values(), strict=True)))
    if _is_flattened(record):
        return _nested(record, [(_flat_path(key), v) for key, v in record.items()])
    return record


def _is_flattened(record: dict[str, Any]) -> bool:
    """Whether the keys of a post are joined with those of its objects by `_`."""
    return (
        ("createTime" in record or "create_time" in record)
        and any(key in record for key in _DISTINCTIVE_FLATTENED)
        and any(key.startswith(("stats_", "statsV2_", "statistics_")) for key in record)
    )


def rows_of_columns(
    document: dict[str, Any], is_record: Callable[[dict[str, Any]], bool]
) -> Iterator[dict[str, Any]] | None:
    """Returns the records of an object that consists of columns, else None.

    Args:
        document: `{column: {row: value}}`, or `{"columns": […], "data": [[…], …]}`.
        is_record: whether any source matches an object.
    """
    columns = next((document[k] for k in _COLUMNS if _are_names(document.get(k))), None)
    rows = next((document[k] for k in _ROWS if _are_rows(document.get(k))), None)
    if columns is not None and rows is not None:
        return (dict(zip(columns, row, strict=False)) for row in rows)
    values = list(document.values())
    if values and all(isinstance(value, list) for value in values):
        return _rows_of_lists(document, is_record)
    if not values or not all(isinstance(value, dict) for value in values):
        return None
    names = list(values[0])
    if not names or any(value.keys() != values[0].keys() for value in values):
        return None
    if not is_record({column: value[names[0]] for column, value in document.items()}):
        return None
    return ({c: value[name] for c, value in document.items()} for name in names)


def _rows_of_lists(
    document: dict[str, Any], is_record: Callable[[dict[str, Any]], bool]
) -> Iterator[dict[str, Any]] | None:
    """Returns the records of `{column: [values]}`, None for other objects."""
    lists = list(document.values())
    if not lists[0] or any(len(values) != len(lists[0]) for values in lists):
        return None
    if not is_record({name: values[0] for name, values in document.items()}):
        return None
    return (dict(zip(document, row, strict=True)) for row in zip(*lists, strict=True))


def rows_below_names(
    lists: list[Any], is_record: Callable[[dict[str, Any]], bool]
) -> Iterator[dict[str, Any]] | None:
    """Returns the records of a list of rows whose first row is the header."""
    if len(lists) < 2 or not _are_names(lists[0]) or not _are_rows(lists):
        return None
    names = lists[0]
    if not is_record(Row(zip(names, lists[1], strict=False))):
        return None
    return (Row(zip(names, row, strict=False)) for row in lists[1:])


def _are_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(name, str) for name in value)
    )


def _are_rows(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) for row in value[:9])


def _head(key: str) -> str:
    return key.replace("/", ".").partition(".")[0]


def _flat_path(key: str) -> tuple[str, ...]:
    """Returns the path of a flat key: `textExtra_0_title` gives textExtra, 0, title."""
    head = next((head for head in _FLATTENED if key.startswith(head)), None)
    if head is None:
        return (key,)
    first, _, rest = key.removeprefix(head).partition("_")
    inner = (first, rest) if rest and first.isdecimal() else (key.removeprefix(head),)
    return (head.removesuffix("_"), *inner)


def _nested(
    record: dict[str, Any], pairs: list[tuple[tuple[str, ...], Any]]
) -> dict[str, Any]:
    # A row, so that columns such as `hashtags.0` become a list.
    row: dict[str, Any] = type(record)() if isinstance(record, Row) else Row()
    for path, value in pairs:
        put_cell(row, path, value)
    return row


def _is_wrapped(value: object) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value))[:1] == "$"


def _unwrap_mongo(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [_unwrap_mongo(entry, depth + 1) for entry in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(key, inner)] = value.items()
        if key in _MONGO_NUMBERS:
            return _number(inner)
        if key in ("$oid", "$date", "$uuid", "$symbol"):
            return _unwrap_mongo(inner, depth + 1)
    return {key: _unwrap_mongo(entry, depth + 1) for key, entry in value.items()}


def _number(text: object) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return int(text)
    except ValueError:
        return text
