"""Lock files that allow one writer at a time.

The operating system releases the lock when the process ends for any reason, so that the
lock file of a killed process has no effect.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tfrecords.errors import DataError

_CONTENT = re.compile(rb"[0-9]{0,10}")


@contextmanager
def writing(*places: Path) -> Iterator[None]:
    """Locks files or directories against other writers.

    The lock file of `run/corpus` is `run/.corpus.lock`. It is deleted at the end.

    Raises:
        DataError: Another process is writing one of them.
    """
    with ExitStack() as stack:
        # Resolved, to lock each place once and always in the same order.
        for place in sorted({place.resolve() for place in places}):
            stack.enter_context(_locked(place))
        yield


def find_places(directory: Path) -> Iterator[Path]:
    """Yields a directory and the places in it, at any depth, that have a lock file.

    A process is writing them, or was killed.
    """
    for path in (_lock_of(directory.resolve()), *directory.rglob(".*.lock")):
        # The lock files of other programs have another content.
        with suppress(FileNotFoundError, IsADirectoryError):
            if _CONTENT.fullmatch(path.read_bytes()):
                yield path.with_name(path.name.removeprefix(".").removesuffix(".lock"))


def _lock_of(place: Path) -> Path:
    return place.with_name(f".{place.name}.lock")


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    path = _lock_of(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _open_locked(path, place)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        # Deleted before the lock is released; `_is_at` then detects the new file.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _open_locked(path: Path, place: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError as error:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise DataError(
                f"{place}: another process is writing there; wait until it has ended. "
                f"Received: process={holder or 'unknown'}, lock={path}"
            ) from error
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
