"""Distinguishes text from other files by the first bytes, and converts it to UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import BinaryIO, cast

HEAD = 1024
UTF8_BOM = codecs.BOM_UTF8
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_CHUNK = 2**20
_WIDE_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FILES = (
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!", "a rar archive: unpack it first"),
    (b"SQLite format 3", "an SQLite database: export its table as CSV or JSON"),
    (b"RDX", "an R data file: write it as CSV or Parquet"),
    (b"ARROW1", "a Feather file: write it as Parquet"),
    (b"\x80\x04", "a Python pickle, which is never opened: write it as JSON or CSV"),
    (b"\x80\x05", "a Python pickle, which is never opened: write it as JSON or CSV"),
    (b"%PDF", "a PDF, not an export"),
)


def rejection_reason(head: bytes) -> str | None:
    """Returns why a file that begins with these bytes is not text, or None."""
    for magic, reason in _OTHER_FILES:
        if head.startswith(magic):
            return reason
    line, _, _ = head.partition(b"\n")
    if wide_encoding(head) is None and line.count(0) > len(line) // 8:
        return "not a text, and not of a known format"
    return None


def wide_encoding(head: bytes) -> str | None:
    """Returns the encoding of a text with two or four bytes per character, or None."""
    for bom, name in _WIDE_BOMS:
        if head.startswith(bom):
            return name
    pairs = head[: len(head) // 2 * 2]
    if len(pairs) >= 8:
        half = len(pairs) // 2
        if pairs[1::2].count(0) > 0.7 * half and pairs[::2].count(0) == 0:
            return "utf-16-le"
        if pairs[::2].count(0) > 0.7 * half and pairs[1::2].count(0) == 0:
            return "utf-16-be"
    return None


def as_utf8(file: BinaryIO, head: bytes) -> BinaryIO:
    """Returns the file as UTF-8; UTF-16 and UTF-32 are decoded while reading."""
    encoding = wide_encoding(head)
    if encoding is None:
        return file
    return cast("BinaryIO", codecs.EncodedFile(file, "utf-8", encoding))


def is_not_utf8(open_file: Callable[[], BinaryIO]) -> bool:
    """Whether a text is in another encoding than UTF-8.

    A file is UTF-8 if at least one line has valid non-ASCII UTF-8, even if other lines
    have invalid bytes.
    """
    is_odd = False
    with open_file() as file:
        while chunk := file.read(_CHUNK):
            chunk += file.readline()
            if chunk.isascii():
                continue
            for line in chunk.splitlines():
                try:
                    if not line.isascii() and line.decode("utf-8"):
                        return False
                except UnicodeDecodeError:
                    is_odd = True
    return is_odd
