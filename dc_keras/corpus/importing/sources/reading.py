"""Reads export files: JSON, JSON lines, tables and saved pages, also in archives.

JSON lines and tables are read line by line, so memory does not grow with the size of
the file. A single JSON value is read as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson

from dc_keras.corpus.importing.sources import encodings, json_repair, sheets
from dc_keras.corpus.importing.sources.archives import (
    DAMAGE_ERRORS,
    ArchiveMember,
    DecompressionBombError,
    iter_members,
)
from dc_keras.corpus.importing.sources.pages import PAYLOAD_IDS, find_payloads
from dc_keras.corpus.importing.sources.pieces import CHUNK, Piece
from dc_keras.corpus.importing.sources.post import PostColumns
from dc_keras.corpus.importing.sources.tables import (
    Document,
    find_header,
    read_rows,
    rejection_reason,
)

__all__ = ["Document", "is_json_lines", "read_documents"]

ReadLines: TypeAlias = Callable[[Sequence[bytes]], Iterable[PostColumns | None]]

# Much longer than any answer of the platform.
MAX_BYTES = 2**30

_TOO_LONG = f"more than {MAX_BYTES >> 20} MiB in one value"
_NO_FORMAT = (
    "neither JSON nor a table: no line is a header with a column for ids (such as "
    "`id`, `video_id`, `aweme_id`, `url`)"
)
_EMPTY = "the file is empty"
# The reasons that follow from the truncation of a file or line.
_OF_A_CUT = (json_repair.DAMAGED, "not JSON", _EMPTY)
_BLOCK = 2**18
_TITLE_LINES = 12
_OTHER_CODE = (
    "not UTF-8 text: the table is in another encoding, such as Windows-1252; save it "
    "as UTF-8"
)


def read_documents(
    piece: Piece, read_lines: ReadLines | None = None
) -> Iterator[Document]:
    """Yields the JSON values of a piece of a file, line by line if it is JSON lines.

    The format is recognised from the content, not from the file name: archives, Parquet
    and spreadsheets by their first bytes, saved pages by a leading `<`, tables by a
    header line, JSON lines by a complete first line that is not the last.
    """
    for member in iter_members(piece):
        if member.reason is not None:
            yield Document(member.name or "document", reason=member.reason)
            continue
        for document in _read_member(member, read_lines):
            position = f"{member.name} {document.position}".strip()
            yield document if not member.name else replace(document, position=position)


def is_json_lines(path: Path, max_bytes: int) -> bool:
    """Whether each range of the lines of a file can be read alone.

    False if its first line has more than `max_bytes`.
    """
    with path.open("rb", buffering=CHUNK) as file:
        head = file.read(encodings.HEAD)
        file.seek(0)
        _, first = _first_line(file, max_bytes)
    return (
        encodings.rejection_reason(head) is None
        and encodings.wide_encoding(head) is None
        and first.lstrip()[:1] in (b"{", b"[")
        and first.endswith(b"\n")
        and _parse("line", first).reason is None
    )


def _read_member(
    member: ArchiveMember, read_lines: ReadLines | None
) -> Iterator[Document]:
    """Yields the documents of a file; a truncation gives one reason at the end."""
    last: Document | None = None
    for document in _read_to_the_end(member, read_lines):
        if last is not None:
            yield last
        last = document
    if last is not None and not (member.faults and last.reason in _OF_A_CUT):
        yield last
    for fault in member.faults[:1]:
        reason = f"the file is cut or damaged ({type(fault).__name__})"
        yield Document("end", reason=reason)


def _read_to_the_end(
    member: ArchiveMember, read_lines: ReadLines | None
) -> Iterator[Document]:
    try:
        with member.open() as file:
            if member.is_workbook:
                yield from _read_workbook(file)
            elif member.is_rest:
                yield from _read_lines(file, 1, read_lines or _read_none)
            else:
                yield from _read(member, file, read_lines)
    except DecompressionBombError as error:
        yield Document("end", reason=str(error))
    except UnicodeDecodeError:
        yield Document(
            "end", reason="the text is not valid in its encoding: save as UTF-8"
        )
    except DAMAGE_ERRORS as error:
        reason = f"the file is cut or damaged ({type(error).__name__})"
        yield Document("end", reason=reason)


def _read(
    member: ArchiveMember, file: BinaryIO, read_lines: ReadLines | None
) -> Iterator[Document]:
    with member.open() as beginning:
        head = beginning.read(encodings.HEAD)
    if head.startswith(b"PAR1"):
        yield from sheets.read_parquet(file)
        return
    if head.startswith(encodings.OLD_WORKBOOK):
        yield from _read_workbook(file)
        return
    reason = encodings.rejection_reason(head)
    if reason is not None:
        yield Document("document", reason=reason, raw=head)
        return
    is_wide = encodings.wide_encoding(head) is not None
    file = encodings.as_utf8(file, head)
    number, first = _first_line(file, MAX_BYTES)
    opening = first.lstrip(b" \t\r\n\x1e\x00")[:1]
    if not first.strip():
        yield Document("document", reason=_EMPTY)
    elif opening == b"<":
        yield from _read_page(first + file.read(MAX_BYTES))
    elif opening in (b"{", b"[", b""):
        yield from _read_json(first, file, number, read_lines)
    else:
        yield from _read_table_or_text(first, file, number, None if is_wide else member)


def _read_json(
    first: bytes, file: BinaryIO, number: int, read_lines: ReadLines | None
) -> Iterator[Document]:
    opening = _parse(f"line {number}", first)
    if opening.reason is None:
        yield opening
        yield from _read_lines(file, number + 1, read_lines or _read_none)
        return
    yield from _read_whole(first, file, number)


def _first_line(file: BinaryIO, max_bytes: int) -> tuple[int, bytes]:
    number = 0
    while line := file.readline(max_bytes):
        number += 1
        if number == 1:
            line = line.removeprefix(encodings.UTF8_BOM)
        if line.strip():
            break
    return number, line


def _read_whole(first: bytes, file: BinaryIO, number: int) -> Iterator[Document]:
    """Yields a value of several lines, or lines of which the first is invalid."""
    rest = file.read(MAX_BYTES)
    if len(rest) == MAX_BYTES or len(first) == MAX_BYTES:
        yield Document("document", reason=_TOO_LONG, raw=first[:CHUNK])
        return
    whole = _parse("document", first + rest)
    if whole.reason is None:
        yield whole
    elif _has_json_line(rest):
        lines = (first + rest).splitlines()
        for offset, line in enumerate(lines, start=number):
            if line.strip():
                yield from _read_values(f"line {offset}", line)
    else:
        yield from _read_values("document", first + rest)


def _read_lines(
    file: BinaryIO, number: int, read_lines: ReadLines
) -> Iterator[Document]:
    """Yields the documents of the remaining lines; `number` is that of the first."""
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
        yield Document(f"line {number}", reason=_TOO_LONG, raw=line[:CHUNK])
    elif line and not line.isspace():
        document = _parse(f"line {number}", line)
        if document.reason is None:
            yield document
        else:
            yield from _read_values(f"line {number}", line)


def _blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    try:
        for line in _lines(file):
            block.append(line)
            size += len(line)
            if size >= _BLOCK:
                yield block
                block, size = [], 0
    except (*DAMAGE_ERRORS, DecompressionBombError):
        yield block  # the lines before the damage are intact
        raise
    yield block


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(CHUNK)


def _has_json_line(data: bytes) -> bool:
    """Whether any line is a complete object or list in the syntax of JSON or Python."""
    for line in data.splitlines():
        text = line.strip()
        if text[:1] in (b"{", b"[") and text[-1:] in (b"}", b"]"):
            values, reason = _values(text)
            if reason is None and any(values):
                return True
    return False


def _parse(position: str, data: bytes) -> Document:
    try:
        return Document(position, value=orjson.loads(data))
    except orjson.JSONDecodeError:
        return _parse_leniently(position, data)


def _parse_leniently(position: str, data: bytes) -> Document:
    """Parses JSON that only Python accepts: NaN, lone surrogates, raw line ends."""
    try:
        return Document(position, value=json.loads(data.decode("utf-8"), strict=False))
    except UnicodeDecodeError:
        return Document(position, reason="not UTF-8 text", raw=data)
    except (ValueError, RecursionError):
        return Document(position, reason="not JSON", raw=data)


def _read_values(position: str, data: bytes) -> Iterator[Document]:
    values, reason = _values(data)
    for number, value in enumerate(values, start=1):
        place = position if len(values) == 1 else f"{position} value {number}"
        yield Document(place, value=value)
    if reason is not None:
        yield Document(position, reason=reason, raw=data)


def _values(data: bytes) -> tuple[list[Any], str | None]:
    try:
        return json_repair.read_values(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if error.end < len(data):
            return [], "not UTF-8 text"
        # Truncated within a character.
        return json_repair.read_values(data[: error.start].decode("utf-8"))


def _read_page(data: bytes) -> Iterator[Document]:
    # Invalid bytes are accepted in the page; the payload is parsed strictly below.
    payloads = find_payloads(data.decode("utf-8", "replace"))
    if not payloads:
        names = " or ".join(PAYLOAD_IDS)
        yield Document("page", reason=f"a page without {names}", raw=data)
    for name, payload in payloads:
        yield _parse(f"script {name}", payload.encode("utf-8"))


def _read_workbook(file: BinaryIO) -> Iterator[Document]:
    data = file.read(sheets.MAX_BYTES)
    if len(data) == sheets.MAX_BYTES:
        yield Document("document", reason="a spreadsheet of more than 256 MiB")
        return
    yield from sheets.read_workbook(data)


def _read_table_or_text(
    first: bytes, file: BinaryIO, number: int, member: ArchiveMember | None
) -> Iterator[Document]:
    """Yields the rows of a table, or the JSON in a script."""
    lines = [first]
    header = find_header(lines)
    while header is None and len(lines) < _TITLE_LINES:
        line = file.readline(MAX_BYTES)
        if not line:
            break
        lines.append(line)
        header = find_header(lines)
    if header is not None:
        if member is not None and encodings.is_not_utf8(member.open):
            yield Document("document", reason=_OTHER_CODE, raw=first)
            return
        rest = iter(lambda: file.readline(MAX_BYTES), b"")
        yield from read_rows(header, rest, number + len(lines) - 1)
        return
    data = b"".join(lines) + file.read(MAX_BYTES)
    for document in _read_values("document", data):
        if document.reason == "not JSON":
            document.reason = rejection_reason(lines) or _NO_FORMAT
        yield document
