"""Finds the JSON state in a saved web page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

PAYLOAD_IDS = ("__UNIVERSAL_DATA_FOR_REHYDRATION__", "SIGI_STATE", "__NEXT_DATA__")
_ASSIGNMENT = re.compile(r"window\[['\"]SIGI_STATE['\"]\]\s*=\s*")


def find_payloads(page: str) -> list[tuple[str, str]]:
    """Returns id and JSON text of the scripts that contain the state of a page."""
    scripts = _Scripts()
    scripts.feed(page)
    scripts.close()
    return scripts.payloads


class _Scripts(HTMLParser):
    """Collects the JSON text of the scripts that contain the state of a page."""

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
