"""Pieces of export files: a whole file, or a range of the lines of a large one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

CHUNK = 2**17


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or consecutive lines of it.

    Attributes:
        path: the file.
        start: offset of the first line in bytes.
        end: offset after the last line in bytes; None for the end of the file.
    """

    path: Path
    start: int = 0
    end: int | None = None

    def open(self) -> BinaryIO:
        """Opens the piece like a file of its own; it cannot be rewound."""
        file = self.path.open("rb", buffering=CHUNK if self.end is None else 0)
        file.seek(self.start)
        if self.end is None:
            return file
        bounded = _Bounded(cast("io.FileIO", file), self.end - self.start)
        return io.BufferedReader(bounded, CHUNK)


class _Bounded(io.RawIOBase):
    """The next bytes of a file."""

    def __init__(self, file: io.FileIO, num_bytes: int) -> None:
        super().__init__()
        self._file = file
        self._left = num_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        number = self._file.readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= number
        return number

    def close(self) -> None:
        self._file.close()
        super().close()


def split_lines(path: Path, num_bytes: int) -> Iterator[Piece]:
    """Yields ranges of whole lines, of at least `num_bytes` each but the last."""
    size = path.stat().st_size
    start = 0
    with path.open("rb", buffering=CHUNK) as file:
        while start < size:
            file.seek(start + num_bytes - 1)
            while (part := file.readline(CHUNK)) and not part.endswith(b"\n"):
                pass
            end = file.tell()
            yield Piece(path, start, end if end < size else None)
            start = end
