"""Opens export files: JSON, JSON lines, tables, saved pages, each also in gzip.

JSON lines and tables are read a line at a time, so that a file of any size needs the
memory of one line. A single JSON value is read whole.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson

from dc_keras.corpus.sources.pages import PAYLOAD_IDS, find_payloads
from dc_keras.corpus.sources.post import PostColumns
from dc_keras.corpus.sources.tables import find_delimiter, read_rows

ReadLines: TypeAlias = Callable[[Sequence[bytes]], Iterable[PostColumns | None]]

# Far beyond any answer of the platform: what is longer is an attack, or no export.
MAX_BYTES = 2**30

_GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_TOO_LONG = f"more than {MAX_BYTES >> 20} MiB in one value"
_CHUNK = 2**17
_BLOCK = 2**18
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)


@dataclass(slots=True)
class Document:
    """One JSON value or row of an export file, or the reason why there is none.

    Attributes:
        position: where in the file: `line 3`, `document`, `script SIGI_STATE`.
        value: the parsed JSON, or a `Row`; None where there is a reason.
        reason: why it could not be parsed.
        raw: the bytes behind an unparsed document, empty otherwise.
        posts: what `read_lines` made of this line and those that follow it, in place
            of a value.
    """

    position: str
    value: Any = None
    reason: str | None = None
    raw: bytes = b""
    posts: PostColumns | None = None


def read_documents(
    path: Path, read_lines: ReadLines | None = None
) -> Iterator[Document]:
    """Yields the JSON values of a file, a line at a time where it is line by line.

    The content decides, never the file's name: gzip by its first bytes, a saved page
    by a leading `<`, a table by a first line that names columns, JSON lines by a first
    line that is complete with more behind it.

    Args:
        path: the file.
        read_lines: asked first for the lines behind the first of JSON lines.
    """
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP_MAGIC
    try:
        with _open(path, is_gzip=is_gzip) as file:
            yield from _read(file, read_lines)
    except _DAMAGE:
        yield Document("end", reason="the gzip stream is cut or damaged")


def _open(path: Path, *, is_gzip: bool) -> BinaryIO:
    # Lines of some kB come three times as fast out of a buffer larger than usual.
    if is_gzip:
        return BufferedReader(gzip.open(path), _CHUNK)
    return path.open("rb", buffering=_CHUNK)


def _read(file: BinaryIO, read_lines: ReadLines | None) -> Iterator[Document]:
    number, first = _first_line(file)
    if first.startswith(_UTF16_BOMS):
        yield Document("document", reason="UTF-16 text: save it as UTF-8", raw=first)
        return
    if first.lstrip().startswith(b"<"):
        yield from _read_page(first + file.read(MAX_BYTES))
        return
    delimiter = find_delimiter(first)
    if delimiter is not None:
        yield from _read_table(first, file, number, delimiter)
        return
    opening = _parse(f"line {number}", first)
    if opening.reason is None:
        yield opening
        yield from _read_lines(file, number + 1, read_lines or _read_none)
        return
    yield from _read_whole(opening, first, file, number)


def _first_line(file: BinaryIO) -> tuple[int, bytes]:
    """Returns the first line that has anything, and its number."""
    number = 0
    while line := file.readline(MAX_BYTES):
        number += 1
        if number == 1:
            line = line.removeprefix(_UTF8_BOM)
        if line.strip():
            break
    return number, line


def _read_whole(
    opening: Document, first: bytes, file: BinaryIO, number: int
) -> Iterator[Document]:
    """Yields a value of several lines, or lines of which the first is bad."""
    rest = file.read(MAX_BYTES)
    if len(rest) == MAX_BYTES or len(first) == MAX_BYTES:
        yield Document("document", reason=_TOO_LONG, raw=first[:_CHUNK])
        return
    whole = _parse("document", first + rest)
    if whole.reason is None or not _has_json_line(rest):
        yield whole
        return
    yield opening
    for offset, line in enumerate(rest.splitlines(), start=number + 1):
        if line.strip():
            yield _parse(f"line {offset}", line)


def _read_lines(
    file: BinaryIO, number: int, read_lines: ReadLines
) -> Iterator[Document]:
    """Yields what the lines from here on hold; the first of them has this number."""
    for block in _blocks(file):
        done = 0
        for posts in read_lines(block):
            if posts is None:
                yield from _read_other(number + done, block[done])
                done += 1
            else:
                yield Document(f"line {number + done}", posts=posts)
                done += len(posts["video_id"])
        number += done


def _read_none(lines: Sequence[bytes]) -> Iterator[None]:
    return repeat(None, len(lines))


def _read_other(number: int, line: bytes) -> Iterator[Document]:
    line = line.removesuffix(b"\n")
    if len(line) >= MAX_BYTES:
        yield Document(f"line {number}", reason=_TOO_LONG, raw=line[:_CHUNK])
    elif line and not line.isspace():
        yield _parse(f"line {number}", line)


def _blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """Yields all lines, as many at a time as fill a block."""
    block: list[bytes] = []
    size = 0
    try:
        for line in _lines(file):
            block.append(line)
            size += len(line)
            if size >= _BLOCK:
                yield block
                block, size = [], 0
    except _DAMAGE:
        yield block  # the lines before it are whole
        raise
    yield block


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields all lines, of one that is too long the beginning."""
    while line := file.readline(MAX_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(_CHUNK)


def _has_json_line(data: bytes) -> bool:
    lines = (line for line in data.splitlines() if line.strip())
    return any(isinstance(_parse("", line).value, dict | list) for line in lines)


def _parse(position: str, data: bytes) -> Document:
    try:
        return Document(position, value=orjson.loads(data))
    except orjson.JSONDecodeError:
        return _parse_leniently(position, data)


def _parse_leniently(position: str, data: bytes) -> Document:
    """Parses what orjson refuses and Python takes: NaN, halves of surrogate pairs."""
    try:
        return Document(position, value=json.loads(data.decode("utf-8")))
    except UnicodeDecodeError:
        return Document(position, reason="not UTF-8 text", raw=data)
    except (ValueError, RecursionError):
        return Document(position, reason="not JSON", raw=data)


def _read_page(data: bytes) -> Iterator[Document]:
    # A saved page may hold a stray byte anywhere; its payload is parsed strictly below.
    payloads = find_payloads(data.decode("utf-8", "replace"))
    if not payloads:
        names = " or ".join(PAYLOAD_IDS)
        yield Document("page", reason=f"a page without {names}", raw=data)
    for name, payload in payloads:
        yield _parse(f"script {name}", payload.encode("utf-8"))


def _read_table(
    header: bytes, file: BinaryIO, number: int, delimiter: str
) -> Iterator[Document]:
    lines = iter(lambda: file.readline(MAX_BYTES), b"")
    for row in read_rows(header, lines, number, delimiter):
        yield Document(f"line {row.line}", row.value, row.reason, row.raw)
