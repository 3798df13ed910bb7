"""Whether an artifact is what was written: asked when it is opened, once a process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tfrecords.storage.checksums import (
    SUMS_FILE,
    hash_file,
    list_files,
    read_sums,
    sums_beside,
)
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import finish_switch

_log = logging.getLogger(__name__)
_MOST_TRIES = 10
_NUM_NAMED = 3
_CHANGED = "damaged: it is not what was written"
# What was found sound, by its place and by what its list of checksums was then.
_verified: set[tuple[Path, bytes]] = set()
_is_on = True


def trust_everything() -> None:
    """Turns verification off in this process."""
    global _is_on  # noqa: PLW0603
    _is_on = False


def verify_again() -> None:
    """Lets everything be compared anew that this process has found sound."""
    _verified.clear()


def _nothing(name: str) -> bool:
    return False


def verify_directory(
    directory: Path,
    made_by: str,
    *,
    is_checked: Callable[[str], bool] = _nothing,
    closed: Collection[str] = (),
) -> None:
    """Refuses an artifact of which a file is missing or not what was written.

    A file too many is told, and so is an artifact without SHA256SUMS: it was made by an
    older version, or is not complete.

    Args:
        directory: of the artifact.
        made_by: the script that makes such artifacts, for the message.
        is_checked: tells, by name, the files with checksums of their own, which whoever
            reads them checks; these must be there.
        closed: names of directories inside in which no file may be too many, because
            every file there counts.

    Raises:
        DataError: a file is damaged, missing, or too many.
    """
    if not _is_on:
        return
    finish_switch(directory)
    for inner in sorted(directory.glob(f"[!.]*/{SUMS_FILE}")):
        verify_directory(inner.parent, made_by)
    path = directory / SUMS_FILE
    for _ in range(_MOST_TRIES):
        finish_switch(directory)
        if not path.exists():
            _log.warning(
                "%s has no %s, so that nothing can be said of its files",
                directory,
                path.name,
            )
            return
        state = (directory.resolve(), path.read_bytes())
        if state in _verified:
            return
        sums = read_sums(path) or {}
        extra = [name for name in list_files(directory) if name not in sums]
        fault = next(find_faults(directory, is_checked=is_checked), None)
        if fault is None and closed:
            fault = next((_too_many(n) for n in extra if _is_in(n, closed)), None)
        if fault is None:
            break
        # Not where another process changed everything while this one was reading.
        finish_switch(directory)
        if path.exists() and path.read_bytes() == state[1]:
            name, problem = fault
            raise _damaged(directory / name, problem, made_by)
    _verified.add(state)
    if extra:
        named = ", ".join(extra[:_NUM_NAMED])
        rest = f" and {len(extra) - _NUM_NAMED} more" if len(extra) > _NUM_NAMED else ""
        _log.warning("%s: not in its %s: %s%s", directory, SUMS_FILE, named, rest)


def verify_file(path: Path, made_by: str) -> None:
    """Refuses a file that is not what was written; one of other origin is taken as is.

    Its checksum lies beside it, or in SHA256SUMS of its directory.

    Raises:
        DataError: it is damaged.
    """
    if not _is_on:
        return
    for sums in (sums_beside(path), path.parent / SUMS_FILE):
        digest = (read_sums(sums) or {}).get(path.name)
        if digest is not None:
            if path.exists() and hash_file(path) != digest:
                raise _damaged(path, _CHANGED, made_by)
            return


def find_faults(
    directory: Path, *, is_checked: Callable[[str], bool] = _nothing
) -> Iterator[tuple[str, str]]:
    """Yields what is wrong with the files of a directory: name and problem.

    Args:
        directory: of the artifact; without SHA256SUMS nothing is wrong.
        is_checked: as of `verify_directory`.

    Raises:
        DataError: the list of checksums is damaged.
    """
    for name, digest in (read_sums(directory / SUMS_FILE) or {}).items():
        path = directory / name
        if not path.is_file():
            yield name, "missing"
        elif not is_checked(name) and hash_file(path) != digest:
            yield name, _CHANGED


def _too_many(name: str) -> tuple[str, str]:
    return name, f"not in {SUMS_FILE}: it was put there, or a run was stopped behind it"


def _is_in(name: str, directories: Collection[str]) -> bool:
    return name.partition("/")[0] in directories


def _damaged(path: Path, problem: str, made_by: str) -> DataError:
    return DataError(
        f"{path}: {problem}; bring it back from a copy, or make it anew with "
        f"`python -m pipelines.{made_by}`; --noverify takes everything as it is"
    )
