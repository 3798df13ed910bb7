"""One writer at a time: a lock file that says who is at work.

The system holds the lock for the process and gives it back when the process ends,
however it ends: a file that a killed process left behind locks nobody out.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dc_keras.errors import DataError


@contextmanager
def writing(*places: Path) -> Iterator[None]:
    """Keeps other writers away from some files or directories.

    The lock file of `run/corpus` is `run/.corpus.lock`. It goes when the work is done.

    Args:
        places: what is to be written; the directories that they lie in are made.

    Raises:
        DataError: another process writes one of them.
    """
    with ExitStack() as stack:
        # Each once and in one order, whatever names they were given by.
        for place in sorted({place.resolve() for place in places}):
            stack.enter_context(_locked(place))
        yield


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    path = place.with_name(f".{place.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _open_locked(path, place)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        # While the lock is held: another process sees that the file is another one.
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
    """Whether the file that is open still is the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
