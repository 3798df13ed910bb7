"""Reads defective JSON: truncated, concatenated, commented, or printed by other tools.

The intact values are kept, and the rest is described by one reason.
"""

from __future__ import annotations

import json
import re
from typing import Any

from dc_keras.corpus.importing.sources import cells

_BETWEEN = re.compile(r"[\s,;\x00\x1e\ufeff]*")
_SPACE = re.compile(r"[\s\x00\x1e\ufeff]*")
# Outside of strings: comments, commas before closing brackets, names without quotes.
_DEFECT = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<comment>//[^\n]*|/\*.*?\*/)"""
    r"""|,(?=\s*[}\]])|(?P<name>(?<=[{,\s])[A-Za-z_$][\w$]*(?=\s*:))""",
    re.DOTALL,
)
# JSON below a title, the headers of an answer, or a Markdown fence.
_JSON_START = re.compile(r"^[ \t]*(?=[\[{]\s*[\[{\"'])", re.MULTILINE)
# An assignment or call around the value, or a prefix against its execution as a script.
_PREFIX = re.compile(
    r"""\s*(?:\)\]\}',?\s*|(?:for\s*\(;;\)|while\s*\(1\));?\s*|export\s+default\s+"""
    r"""|(?:var\s+|let\s+|const\s+)?[\w$.]+(?:\[['"][\w.]+['"]\])?\s*(?:=(?!=)|\()\s*)"""
    r"""(?=[\[{])"""
)
_SUFFIX = re.compile(r"\s*\)?\s*;?\s*(?:```\s*)?")
_MAX_DEPTH = 64
DAMAGED = "cut off or damaged: the JSON ends before its brackets are closed"


class TruncatedObject(dict[str, Any]):
    """An object that is truncated: not a record, but it may contain complete ones."""


def read_values(text: str) -> tuple[list[Any], str | None]:
    """Returns the values in a text, and why the rest of it could not be read.

    The values may be separated by anything that tools write between them. The intact
    part of a truncated value is the last value.
    """
    values, reason = _read(text)
    if reason is None:
        return values, None
    clean = _DEFECT.sub(_as_json, text)
    if clean != text:
        found, why = _read(clean)
        if why is None or _size(found) > _size(values):
            values, reason = found, why
    if not values:
        below = _JSON_START.search(text, 1)
        if below is not None:
            return _read(text[below.end() :])
    return values, reason


def _read(text: str) -> tuple[list[Any], str | None]:
    start = _PREFIX.match(text)
    end = 0 if start is None else start.end()
    values: list[Any] = []
    while (end := _match_end(_BETWEEN, text, end)) < len(text):
        if values and _SUFFIX.fullmatch(text, end):
            break
        value, after = _parse_value(text, end)
        if after is None:
            printed = cells.parse(text[end:]) if not values else None
            if printed is not None:
                return [printed], None
            part = _parse_truncated(text, end, 0)
            if _has_object(part):
                values.append(part)
            return values, DAMAGED if values else "not JSON"
        values.append(value)
        end = after
    return values, None


def _as_json(defect: re.Match[str]) -> str:
    """Returns the JSON for a comment, a superfluous comma or a bare name."""
    if defect["text"] is not None:
        return defect["text"]
    return "" if defect["name"] is None else f'"{defect["name"]}"'


def _size(values: list[Any]) -> int:
    return sum(len(value) if isinstance(value, list) else 1 for value in values)


def _parse_value(text: str, start: int) -> tuple[Any, int | None]:
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, None


def _parse_truncated(text: str, start: int, depth: int) -> Any:
    opening = text[start : start + 1]
    if depth > _MAX_DEPTH or opening not in ("[", "{"):
        return None
    whole: Any = [] if opening == "[" else TruncatedObject()
    end = start + 1
    while (end := _match_end(_BETWEEN, text, end)) < len(text):
        key = None
        if opening == "{":
            key, after = _parse_value(text, end)
            if after is None or not isinstance(key, str):
                break
            end = _match_end(_SPACE, text, after)
            if text[end : end + 1] != ":":
                break
            end = _match_end(_SPACE, text, end + 1)
        value, after = _parse_value(text, end)
        is_last = after is None
        if after is None:
            value = _parse_truncated(text, end, depth + 1)
        if value is not None or not is_last:
            if opening == "[":
                whole.append(value)
            else:
                whole[str(key)] = value
        if after is None:
            break
        end = after
    return whole


def _has_object(part: Any) -> bool:
    if isinstance(part, list):
        return any(map(_has_object, part))
    return isinstance(part, dict) and bool(part)


def _match_end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()


_DECODER = json.JSONDecoder(strict=False)  # accepts line ends in strings
