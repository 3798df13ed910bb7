"""Takes TikTok's answers out of an HAR file, as a browser's network panel saves it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import orjson

from dc_keras.corpus.sources.pages import find_payloads

_LONGEST = 2**28


def is_har(document: dict[str, Any]) -> bool:
    """Whether a document is an HAR file."""
    log = document.get("log")
    return isinstance(log, dict) and isinstance(log.get("entries"), list)


def answers(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the answers that are JSON, or pages with JSON: position and value."""
    for number, entry in enumerate(document["log"]["entries"]):
        response = entry.get("response") if isinstance(entry, dict) else None
        content = response.get("content") if isinstance(response, dict) else None
        text = _text(content) if isinstance(content, dict) else ""
        for value in _values(text.strip()):
            yield f"log.entries[{number}]", value


def _text(content: dict[str, Any]) -> str:
    text = content.get("text")
    if not isinstance(text, str) or len(text) > _LONGEST:
        return ""
    if content.get("encoding") != "base64":
        return text
    try:
        return base64.b64decode(text, validate=False).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""  # a picture


def _values(text: str) -> Iterator[Any]:
    payloads = [text] if text[:1] in ("{", "[") else []
    if text[:1] == "<":
        payloads = [payload for _, payload in find_payloads(text)]
    for payload in payloads:
        try:
            yield orjson.loads(payload)
        except orjson.JSONDecodeError:
            continue  # a part of an answer, or a script
