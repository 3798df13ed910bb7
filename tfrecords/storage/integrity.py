"""Verifies the checksums of artifacts when they are opened, once per process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from tfrecords.errors import DataError
from tfrecords.storage.atomic_update import finish_update
from tfrecords.storage.checksums import (
    SUMS_FILE,
    hash_file,
    list_files,
    read_sums,
    sums_beside,
)

_log = logging.getLogger(__name__)
_MAX_TRIES = 10
_MAX_LISTED = 3
_CHANGED = "damaged: its content has changed"
_ADDED = f"not in {SUMS_FILE}: added by hand, or by an interrupted run"
# Verified artifacts: directory and content of SHA256SUMS.
_verified: set[tuple[Path, bytes]] = set()
_is_on = True


def trust_everything() -> None:
    """Turns verification off in this process."""
    global _is_on  # noqa: PLW0603
    _is_on = False


def verify_again() -> None:
    """Makes this process verify artifacts again that it has verified before."""
    _verified.clear()


def _never(name: str) -> bool:
    return False


def verify_directory(
    directory: Path,
    made_by: str,
    *,
    is_checked: Callable[[str], bool] = _never,
    closed: Collection[str] = (),
    remedy: str | None = None,
) -> None:
    """Compares the files of an artifact with SHA256SUMS.

    Logs a warning for additional files, and for an artifact without SHA256SUMS, which
    is incomplete or was written by an older version.

    Args:
        directory: Directory of the artifact.
        made_by: Name of the script that writes such artifacts, for the message.
        is_checked: Returns whether a file, given by name, contains checksums of its
            own, which its reader verifies. Such a file must only exist.
        closed: Names of subdirectories that must not contain additional files.
        remedy: What to do about a damaged file; None for running `made_by` again.

    Raises:
        DataError: A file is damaged or missing, or an additional file is not allowed.
    """
    if not _is_on:
        return
    finish_update(directory)
    for inner in sorted(directory.glob(f"[!.]*/{SUMS_FILE}")):
        verify_directory(inner.parent, made_by)
    path = directory / SUMS_FILE
    for _ in range(_MAX_TRIES):
        finish_update(directory)
        if not path.exists():
            _log.warning(
                "%s has no %s, so that its files cannot be verified",
                directory,
                path.name,
            )
            return
        state = (directory.resolve(), path.read_bytes())
        if state in _verified:
            return
        sums = read_sums(path) or {}
        extra = [name for name in list_files(directory) if name not in sums]
        faults = list(find_faults(directory, is_checked=is_checked))
        faults += [(n, _ADDED) for n in extra if n.partition("/")[0] in closed]
        if not faults:
            break
        # Retries if another process updated the artifact at the same time.
        finish_update(directory)
        if path.exists() and path.read_bytes() == state[1]:
            name, problem = faults[0]
            raise _damaged(directory / name, problem, made_by, remedy)
    _verified.add(state)
    if extra:
        listed = ", ".join(extra[:_MAX_LISTED])
        num_more = len(extra) - _MAX_LISTED
        rest = f" and {num_more} more" if num_more > 0 else ""
        _log.warning("%s: not in its %s: %s%s", directory, SUMS_FILE, listed, rest)


def verify_file(path: Path, made_by: str) -> None:
    """Compares a file with its checksum, if there is one.

    The checksum is in NAME.sha256, or in SHA256SUMS of the directory.

    Raises:
        DataError: The file is damaged.
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
    directory: Path, *, is_checked: Callable[[str], bool] = _never
) -> Iterator[tuple[str, str]]:
    """Yields the names and problems of missing and damaged files of a directory.

    Raises:
        DataError: The list of checksums is damaged.
    """
    for name, digest in (read_sums(directory / SUMS_FILE) or {}).items():
        path = directory / name
        if not path.is_file():
            yield name, "missing"
        elif not is_checked(name) and hash_file(path) != digest:
            yield name, _CHANGED


def _damaged(
    path: Path, problem: str, made_by: str, remedy: str | None = None
) -> DataError:
    remedy = remedy or (
        "restore it from a copy, or create it again with "
        f"`python -m pipelines.{made_by}`"
    )
    return DataError(f"{path}: {problem}; {remedy}; --noverify skips this check")
