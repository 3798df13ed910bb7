"""Opens files, and what archives hold: zip, tar, gzip, bzip2 and xz, also nested.

Nothing is ever unpacked to disk, and the name of an entry is never a path: it only says
in quarantine.jsonl where a record was. What grows out of all proportion while it is
unpacked is given up (`BombError`).
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
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from dc_keras.corpus.media import MEDIA_SUFFIXES

# What can go wrong inside of a damaged archive. bz2 raises OSError.
DAMAGE = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    OSError,
)
CHUNK = 2**17

# JSON shrinks to a tenth or so; nothing but a bomb to a four-hundredth.
_LARGEST_GROWTH = 400
_ALWAYS_ALLOWED = 2**25
_MAX_DEPTH = 4
_HEAD = 512
_WORKBOOKS = ("xl/workbook.xml", "xl/workbook.bin", "mimetype")


class BombError(ValueError):
    """A file that grows out of all proportion while it is unpacked."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file, or an entry of an archive.

    Attributes:
        name: of the entry, "" of a file that is no archive.
        open: opens it anew.
        reason: why it cannot be read; `open` is not to be called then.
        is_workbook: whether it is a zip that a spreadsheet program made.
    """

    name: str
    open: Callable[[], BinaryIO]
    reason: str | None = None
    is_workbook: bool = False


def members(path: Path) -> Iterator[Member]:
    """Yields the file, or the entries of the archive that it is."""
    budget = _Budget(max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * path.stat().st_size))
    file = Member("", lambda: path.open("rb", buffering=CHUNK))
    yield from _expand(file, budget, 0)


class _Budget:
    """How many bytes may come out of one file on disk."""

    def __init__(self, allowed: int) -> None:
        self._left = allowed

    def spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise BombError(
                f"it grows more than {_LARGEST_GROWTH}-fold while it is unpacked: no "
                "export does"
            )


class _Bounded(io.RawIOBase):
    """A stream whose bytes are paid out of a budget."""

    def __init__(
        self, stream: IO[bytes], budget: _Budget, below: IO[bytes] | None = None
    ) -> None:
        super().__init__()
        self._stream = stream
        self._budget = budget
        self._below = below

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
        data = self._stream.read(len(view))
        self._budget.spend(len(data))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        if self._below is not None:
            self._below.close()
        super().close()


def _expand(member: Member, budget: _Budget, depth: int) -> Iterator[Member]:
    with member.open() as file:
        head = file.read(_HEAD)
    unpack = _unpacker(head)
    if depth > _MAX_DEPTH:
        yield _refused(member.name, f"archives nested deeper than {_MAX_DEPTH}")
    elif unpack is not None:
        inner = Member(member.name, _opener(member, unpack, budget))
        yield from _or_reason(member, _expand(inner, budget, depth + 1))
    elif head.startswith(b"PK\x03\x04"):
        yield from _or_reason(member, _of_zip(member, budget, depth))
    elif head[257:262] == b"ustar":
        yield from _or_reason(member, _of_tar(member, budget, depth))
    else:
        yield member


def _unpacker(head: bytes) -> Callable[[BinaryIO], IO[bytes]] | None:
    if head.startswith(b"\x1f\x8b"):
        return lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return bz2.BZ2File
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile
    return None


def _opener(
    member: Member, unpack: Callable[[BinaryIO], IO[bytes]], budget: _Budget
) -> Callable[[], BinaryIO]:
    def opened() -> BinaryIO:
        # Lines of some kB come three times as fast out of a buffer larger than usual.
        below = member.open()
        return io.BufferedReader(_Bounded(unpack(below), budget, below), CHUNK)

    return opened


def _or_reason(member: Member, inside: Iterator[Member]) -> Iterator[Member]:
    """Yields what is inside; what is damaged ends in a reason and not in an error."""
    try:
        yield from inside
    except BombError as error:
        yield _refused(member.name, str(error))
    except DAMAGE as error:
        reason = f"the archive is cut or damaged ({type(error).__name__})"
        yield _refused(member.name, reason)


def _of_zip(member: Member, budget: _Budget, depth: int) -> Iterator[Member]:
    with member.open() as file, zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        if not names.isdisjoint(_WORKBOOKS):
            yield Member(member.name, member.open, is_workbook=True)
            return
        for info in archive.infolist():
            name = _joined(member.name, info.filename)
            if info.is_dir() or _is_no_export(info.filename):
                continue
            if info.flag_bits & 1:
                yield _refused(name, "an entry with a password")
                continue

            def opened(info: zipfile.ZipInfo = info) -> BinaryIO:
                stream = _Bounded(archive.open(info), budget)
                return io.BufferedReader(stream, CHUNK)

            entry = Member(name, opened)
            yield from _or_reason(entry, _expand(entry, budget, depth + 1))


def _of_tar(member: Member, budget: _Budget, depth: int) -> Iterator[Member]:
    with member.open() as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for info in archive:
            if not info.isreg() or _is_no_export(info.name):
                continue

            def opened(info: tarfile.TarInfo = info) -> BinaryIO:
                stream = cast("IO[bytes]", archive.extractfile(info))
                return io.BufferedReader(_Bounded(stream, budget), CHUNK)

            entry = Member(_joined(member.name, info.name), opened)
            yield from _or_reason(entry, _expand(entry, budget, depth + 1))


def _is_no_export(name: str) -> bool:
    """Whether an entry is what macOS adds, a hidden file, or a picture or video."""
    path = PurePosixPath(name)
    is_hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return is_hidden or path.suffix.lower() in MEDIA_SUFFIXES


def _joined(outer: str, name: str) -> str:
    return f"{outer}/{name}" if outer else name


def _refused(name: str, reason: str) -> Member:
    def opened() -> BinaryIO:
        raise ValueError(reason)

    return Member(name, opened, reason=reason)
