"""Directories whose files are finished one by one, and which a later run completes.

`config.json` holds everything that determines the files. A file is finished when it is
in SHA256SUMS.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update, write_text
from tfrecords.storage.checksums import (
    SUMS_FILE,
    add_to_sums,
    hash_directory,
    read_sums,
    write_sums,
)
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading

CONFIG_FILE = "config.json"
_MAX_LISTED = 3


def open_resumable(
    directory: Path,
    config: Mapping[str, Any],
    made_by: str,
    *,
    flag: str = "output",
    texts: Mapping[str, str] | None = None,
) -> Collection[str]:
    """Creates a directory, or opens one with the same configuration.

    The caller must lock it against other writers. The configuration is everything that
    determines the files; `made_by` and `flag` are for messages, and `texts` are
    further files by name, which are written again.

    Returns:
        Names of the finished files.

    Raises:
        DataError: The directory has another configuration or none, or a file is
            damaged.
    """
    finish_update(directory)
    path = directory / CONFIG_FILE
    _leave_out_missing(directory, flag)
    if path.exists():
        verify_directory(
            directory,
            made_by,
            remedy="restore it from a copy, or delete it and run the same command "
            "again",
        )
        with reading(path, f"the {CONFIG_FILE} of {made_by}"):
            before = json.loads(path.read_text(encoding="utf-8"))
        difference = describe_difference(before, config)
        if difference is not None:
            raise DataError(
                f"{directory} has a run with another configuration; choose another "
                f"--{flag}, or remove it. Received: {difference}"
            )
    # Without checksums, such as after a change by hand, all files count as finished.
    is_unsealed = path.exists() and not (directory / SUMS_FILE).exists()
    with AtomicUpdate(directory) as files:
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
        for name, content in {CONFIG_FILE: text, **(texts or {})}.items():
            write_text(files.path(name), content)
        files.commit(hash_directory(directory) if is_unsealed else None)
    return (read_sums(directory / SUMS_FILE) or {}).keys()


def _leave_out_missing(directory: Path, flag: str) -> None:
    """Makes missing files unfinished; those of an unknown configuration are refused."""
    sums = read_sums(directory / SUMS_FILE) or {}
    present = {name: sums[name] for name in sums if (directory / name).exists()}
    if present and CONFIG_FILE not in present:
        raise DataError(
            f"{directory} has files, but no {CONFIG_FILE} that says how they were "
            f"made; choose another --{flag}, or remove it"
        )
    if present != sums:
        write_sums(directory / SUMS_FILE, present)


def finish_files(directory: Path, names: Iterable[str]) -> None:
    """Marks the existing files among these names as finished."""
    add_to_sums(directory, [name for name in names if (directory / name).exists()])


def describe_difference(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> str | None:
    """Returns the old and new values of different settings as one line, or None."""
    old, new = (dict(_flatten(json.loads(json.dumps(v)), "")) for v in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not names:
        return None
    listed = [f"{n}={new.get(n)} instead of {old.get(n)}" for n in names[:_MAX_LISTED]]
    rest = len(names) - _MAX_LISTED
    return ", ".join(listed) + (f" and {rest} more" if rest > 0 else "")


def _flatten(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value
