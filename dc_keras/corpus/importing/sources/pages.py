"""Finds the JSON state in saved web pages, and the answers in HAR files."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import orjson

from dc_keras.corpus.importing.sources import addresses, json_repair
from dc_keras.corpus.importing.sources.values import parse_utc_time

PAYLOAD_IDS = ("__UNIVERSAL_DATA_FOR_REHYDRATION__", "SIGI_STATE", "__NEXT_DATA__")
_ASSIGNMENT = re.compile(r"window\[['\"]SIGI_STATE['\"]\]\s*=\s*")
_LONGEST = 2**28
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, detected from the first bytes
# Services that return posts of TikTok.
_SERVICES = (
    *("tikwm.com", "tikhub.io", "tikhub.dev", "ensembledata.com", "apify.com"),
    *("rapidapi.com", "brightdata.com", "localhost"),
)


def find_payloads(page: str) -> list[tuple[str, str]]:
    """Returns id and JSON text of the scripts that contain the state of a page."""
    scripts = _Scripts()
    scripts.feed(page)
    scripts.close()
    return scripts.payloads


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.payloads: list[tuple[str, str]] = []
        self._script_id: str | None = None
        self._parts: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self._script_id = dict(attrs).get("id")
            self._parts = []

    def handle_data(self, data: str) -> None:
        if self._parts is not None:
            self._parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag != "script" or self._parts is None:
            return
        text = "".join(self._parts).strip()
        self._parts = None
        assignment = _ASSIGNMENT.search(text)
        if assignment is not None:
            self.payloads.append(("SIGI_STATE", _first_value(text[assignment.end() :])))
        elif self._script_id in PAYLOAD_IDS:
            self.payloads.append((str(self._script_id), text))


def _first_value(text: str) -> str:
    """Removes the statements after a JSON value."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text
    return text[:end]


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """An answer in a recording.

    Attributes:
        position: position in the file.
        value: parsed JSON.
        time: time of the request, UTC seconds; None if the recording lacks it.
        reason: why its posts are not TikTok's, or None.
        is_cut: whether the answer is incomplete.
    """

    position: str
    value: Any
    time: int | None
    reason: str | None
    is_cut: bool


def is_har(document: dict[str, Any]) -> bool:
    """Whether a document is an HAR file."""
    log = document.get("log")
    return isinstance(log, dict) and isinstance(log.get("entries"), list)


def iter_answers(document: dict[str, Any]) -> Iterator[RecordedAnswer]:
    """Yields the answers that are JSON, or pages that contain JSON."""
    for number, entry in enumerate(document["log"]["entries"]):
        content = _get_nested(entry, "response", "content")
        text = _text(content).strip() if isinstance(content, dict) else ""
        time = parse_utc_time(_get_nested(entry, "startedDateTime"))
        reason = _reason_against(_get_nested(entry, "request", "url"))
        for value, is_cut in _values(text):
            yield RecordedAnswer(f"log.entries[{number}]", value, time, reason, is_cut)


def _get_nested(entry: object, *path: str) -> Any:
    for key in path:
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


def _reason_against(url: object) -> str | None:
    if not isinstance(url, str) or not url:
        return None
    if addresses.is_tiktok_url(url) or addresses.has_domain(url, _SERVICES):
        return None
    return "an answer of another host than TikTok's or a service for its posts"


def _text(content: dict[str, Any]) -> str:
    text = content.get("text")
    if not isinstance(text, str) or len(text) > _LONGEST:
        return ""
    if content.get("encoding") != "base64":
        return text
    try:
        return _decompress(base64.b64decode(text, validate=False)).decode("utf-8")
    except (binascii.Error, zlib.error, ValueError):
        return ""  # a picture


def _decompress(data: bytes) -> bytes:
    """Returns the decompressed body; proxies save it as the server compressed it."""
    if data[:2] not in (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda"):
        return data
    return zlib.decompressobj(_EITHER).decompress(data, _LONGEST)


def _values(text: str) -> Iterator[tuple[Any, bool]]:
    """Yields the values of an answer, and whether each is incomplete."""
    if text[:1] == "<":
        for _, payload in find_payloads(text):
            yield from _parsed(payload)
    elif text[:1] in ("{", "[", ")") or text.startswith(("for", "while")):
        yield from _parsed(text)


def _parsed(text: str) -> Iterator[tuple[Any, bool]]:
    try:
        yield orjson.loads(text), False
    except orjson.JSONDecodeError:
        values, reason = json_repair.read_values(text)
        last = len(values) - 1
        for number, value in enumerate(values):
            yield value, reason is not None and number == last
