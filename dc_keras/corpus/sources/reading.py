"""Opens export files: JSON, JSON lines, saved pages, each of them also in gzip."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, BinaryIO, cast

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_PAYLOAD_IDS = ("__UNIVERSAL_DATA_FOR_REHYDRATION__", "SIGI_STATE", "__NEXT_DATA__")
_ASSIGNMENT = re.compile(r"window\[['\"]SIGI_STATE['\"]\]\s*=\s*")


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value of an export file, or the reason why there is none.

    Attributes:
        position: where in the file: `line 3`, `document`, `script SIGI_STATE`.
        value: the parsed JSON; None where there is a reason.
        reason: why it could not be parsed.
        raw: the bytes behind an unparsed document, empty otherwise.
    """

    position: str
    value: Any = None
    reason: str | None = None
    raw: bytes = b""


def read_documents(path: Path) -> Iterator[Document]:
    """Yields the JSON values of a file, a line at a time where it is line by line.

    The content decides, never the file's name: gzip by its first bytes, a saved page
    by a leading `<`, JSON lines by a first line that is complete with more behind it.
    """
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
    try:
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            yield from _read(cast("BinaryIO", file))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        yield Document("end", reason="the gzip stream is cut or damaged")


def _read(file: BinaryIO) -> Iterator[Document]:
    first = b""
    number = 0
    for number, line in enumerate(file, start=1):
        first = line.removeprefix(_UTF8_BOM) if number == 1 else line
        if first.strip():
            break
    if first.lstrip().startswith(b"<"):
        yield from _read_page(first + file.read())
        return
    opening = _parse(f"line {number}", first)
    if opening.reason is None:
        yield from _read_lines(opening, file, number)
        return
    rest = file.read()
    whole = _parse("document", first + rest)
    if whole.reason is None or not _has_json_line(rest):
        yield whole
        return
    yield opening
    for offset, line in enumerate(rest.splitlines(), start=number + 1):
        if line.strip():
            yield _parse(f"line {offset}", line)


def _read_lines(opening: Document, file: BinaryIO, number: int) -> Iterator[Document]:
    yield opening
    for offset, line in enumerate(file, start=number + 1):
        if line.strip():
            yield _parse(f"line {offset}", line)


def _has_json_line(data: bytes) -> bool:
    lines = (line for line in data.splitlines() if line.strip())
    return any(isinstance(_parse("", line).value, dict | list) for line in lines)


def _parse(position: str, data: bytes) -> Document:
    try:
        return Document(position, value=json.loads(data.decode("utf-8")))
    except UnicodeDecodeError:
        return Document(position, reason="not UTF-8 text", raw=data)
    except (ValueError, RecursionError):
        return Document(position, reason="not JSON", raw=data)


def _read_page(data: bytes) -> Iterator[Document]:
    # A saved page may hold a stray byte anywhere; its payload is parsed strictly below.
    text = data.decode("utf-8", "replace")
    scripts = _Scripts()
    scripts.feed(text)
    scripts.close()
    if not scripts.payloads:
        names = " or ".join(_PAYLOAD_IDS)
        yield Document("page", reason=f"a page without {names}", raw=data)
    for name, payload in scripts.payloads:
        yield _parse(f"script {name}", payload.encode("utf-8"))


class _Scripts(HTMLParser):
    """Collects the JSON text of the scripts that carry a page's state."""

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
        elif self._script_id in _PAYLOAD_IDS:
            self.payloads.append((str(self._script_id), text))


def _first_value(text: str) -> str:
    """Cuts the statements behind the JSON value, if it is one."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text
    return text[:end]
