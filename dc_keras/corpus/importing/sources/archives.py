"""Opens files and the entries of archives: zip, tar, gzip, bzip2 and xz, also nested.

Nothing is unpacked to disk. The name of an entry is never used as a path; it only
appears as the position of a record in quarantine.jsonl. Unpacking stops if the content
is out of proportion to the size of the file (`DecompressionBombError`).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, TypeAlias, cast

from dc_keras.corpus.importing.sources.pieces import CHUNK, Piece
from tfrecords.media_paths import MEDIA_SUFFIXES

# The errors of damaged archives. bz2 raises OSError.
DAMAGE_ERRORS = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    OSError,
)

# JSON compresses about tenfold; only decompression bombs compress 400-fold.
_LARGEST_GROWTH = 400
_ALWAYS_ALLOWED = 2**25
_MAX_DEPTH = 4
_HEAD = 512
_EMPTY_ZIP = b"PK\x05\x06"
_NO_EXPORT = "an archive without a file that may be an export"
_WORKBOOKS = ("xl/workbook.xml", "xl/workbook.bin", "mimetype")


Opener: TypeAlias = Callable[[], io.BufferedIOBase]


class DecompressionBombError(ValueError):
    """A file that grows out of proportion while it is unpacked."""


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file, or an entry of an archive.

    Attributes:
        name: name of the entry, "" for a file that is not an archive.
        open: opens the file from its start.
        reason: why it cannot be read; `open` must not be called then.
        faults: the error that ended the last stream returned by `open` early, if any.
        is_workbook: whether it is a zip file made by a spreadsheet program.
        is_rest: whether it is a range of JSON lines after the first lines of a file.
    """

    name: str
    open: Callable[[], BinaryIO]
    reason: str | None = None
    faults: list[Exception] = field(default_factory=list)
    is_workbook: bool = False
    is_rest: bool = False


def iter_members(piece: Piece) -> Iterator[ArchiveMember]:
    """Yields the piece itself, or the entries if it is an archive."""
    if piece.start:
        yield ArchiveMember("", piece.open, is_rest=True)
        return
    size = piece.path.stat().st_size
    budget = _Budget(max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * size))
    yield from _expand(ArchiveMember("", piece.open), budget, 0)


class _Budget:
    def __init__(self, allowed: int) -> None:
        self._left = allowed

    def spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise DecompressionBombError(
                f"it grows more than {_LARGEST_GROWTH}-fold while it is unpacked: not "
                "an export"
            )


class _Bounded(io.RawIOBase):
    """A stream that is limited by a budget and ends at the first damage."""

    def __init__(
        self,
        stream: io.BufferedIOBase,
        budget: _Budget,
        faults: list[Exception],
        below: BinaryIO | None = None,
    ) -> None:
        super().__init__()
        self._stream = stream
        self._budget = budget
        self._faults = faults
        self._below = below
        faults.clear()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        try:
            # `read` would lose the data before the damage.
            data = self._stream.read1(len(view))
        except DAMAGE_ERRORS as error:
            self._faults.append(error)
            return 0
        self._budget.spend(len(data))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        if self._below is not None:
            self._below.close()
        super().close()


def _expand(
    member: ArchiveMember, budget: _Budget, depth: int
) -> Iterator[ArchiveMember]:
    with member.open() as file:
        head = file.read(_HEAD)
    unpack = _unpacker(head)
    if depth > _MAX_DEPTH:
        yield _unreadable_member(
            member.name, f"archives nested deeper than {_MAX_DEPTH}"
        )
    elif unpack is not None:
        faults: list[Exception] = []
        opener = _opener(member, unpack, budget, faults)
        inner = ArchiveMember(member.name, opener, faults=faults)
        yield from _catch_damage(member, _expand(inner, budget, depth + 1))
    elif head.startswith((b"PK\x03\x04", _EMPTY_ZIP)):
        yield from _catch_damage(member, _expand_zip(member, budget, depth))
    elif head[257:262] == b"ustar" or head == bytes(_HEAD):
        yield from _catch_damage(member, _expand_tar(member, budget, depth))
    else:
        yield member


def _unpacker(head: bytes) -> Callable[[BinaryIO], io.BufferedIOBase] | None:
    if head.startswith(b"\x1f\x8b"):
        return lambda file: gzip.GzipFile(fileobj=file)
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return bz2.BZ2File
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile
    return None


def _opener(
    member: ArchiveMember,
    unpack: Callable[[BinaryIO], io.BufferedIOBase],
    budget: _Budget,
    faults: list[Exception],
) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        # A larger buffer makes reading lines of several kB three times as fast.
        below = member.open()
        return io.BufferedReader(_Bounded(unpack(below), budget, faults, below), CHUNK)

    return opened


def _catch_damage(
    member: ArchiveMember, inside: Iterator[ArchiveMember]
) -> Iterator[ArchiveMember]:
    """Yields the members; damage yields a member with a reason, not an error."""
    try:
        yield from inside
    except DecompressionBombError as error:
        yield _unreadable_member(member.name, str(error))
    except DAMAGE_ERRORS as error:
        reason = f"the archive is cut or damaged ({type(error).__name__})"
        yield _unreadable_member(member.name, reason)


def _expand_zip(
    member: ArchiveMember, budget: _Budget, depth: int
) -> Iterator[ArchiveMember]:
    with member.open() as file, zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        if not names.isdisjoint(_WORKBOOKS):
            yield ArchiveMember(member.name, member.open, is_workbook=True)
            return
        found = False
        for info in archive.infolist():
            if info.is_dir() or _is_ignored(info.filename):
                continue
            found = True
            name = _joined(member.name, info.filename)
            if info.flag_bits & 1:
                yield _unreadable_member(name, "an entry with a password")
                continue
            opened = cast("Opener", partial(archive.open, info))
            entry = _entry(name, opened, budget)
            yield from _catch_damage(entry, _expand(entry, budget, depth + 1))
    if not found:
        yield _unreadable_member(member.name, _NO_EXPORT)


def _expand_tar(
    member: ArchiveMember, budget: _Budget, depth: int
) -> Iterator[ArchiveMember]:
    found = False
    with member.open() as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for info in archive:
            if not info.isreg() or _is_ignored(info.name):
                continue
            found = True
            # `extractfile` never returns None for a regular file.
            opened = cast("Opener", partial(archive.extractfile, info))
            entry = _entry(_joined(member.name, info.name), opened, budget)
            yield from _catch_damage(entry, _expand(entry, budget, depth + 1))
            if entry.faults:
                return  # the following entries cannot be located
    if not found:
        yield _unreadable_member(member.name, _NO_EXPORT)


def _entry(name: str, open_stream: Opener, budget: _Budget) -> ArchiveMember:
    faults: list[Exception] = []

    def opened() -> io.BufferedReader:
        stream = _Bounded(open_stream(), budget, faults)
        return io.BufferedReader(stream, CHUNK)

    return ArchiveMember(name, opened, faults=faults)


def _is_ignored(name: str) -> bool:
    path = PurePosixPath(name)
    is_hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    is_hidden |= path.name.lower() in ("thumbs.db", "desktop.ini")
    return is_hidden or path.suffix.lower() in MEDIA_SUFFIXES


def _joined(outer: str, name: str) -> str:
    return f"{outer}/{name}" if outer else name


def _unreadable_member(name: str, reason: str) -> ArchiveMember:
    def opened() -> BinaryIO:
        raise ValueError(reason)

    return ArchiveMember(name, opened, reason=reason)
