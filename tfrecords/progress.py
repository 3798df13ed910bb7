"""Progress files, which record the completed shards of a directory.

`.progress/` contains a small file per shard, with a digest of the input of the shard,
and `settings.json` with the settings of all shards. A damaged progress file counts as
missing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tfrecords.errors import DataError
from tfrecords.storage.checksums import hash_file

_PROGRESS = ".progress"
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class ShardEntry:
    """A completed shard.

    Attributes:
        name: File name.
        num_records: Number of records.
        sha256: Hexadecimal sha256 of its bytes.
        bytes: Size in bytes.
        facts: Facts for the manifest: `counts` (name to number), `bad_media` and
            `bad_slides` (lists of `{"video_id", "reason"}`), all optional.
    """

    name: str
    num_records: int
    sha256: str
    bytes: int
    facts: dict[str, Any]


def write_progress(directory: Path, digest: str, entry: ShardEntry) -> None:
    """Records that a shard is complete, with the digest of its input."""
    progress = _with_sha256({"digest": digest, "entry": asdict(entry)})
    write_json(progress_path(directory, entry.name), progress)


def _with_sha256(values: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(values, sort_keys=True)
    return {**values, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def read_progress(directory: Path, name: str) -> tuple[str, ShardEntry] | None:
    """Returns the digest and the entry of a shard; None if missing or damaged."""
    try:
        progress = json.loads(progress_path(directory, name).read_text("utf-8"))
        if _with_sha256({k: progress[k] for k in ("digest", "entry")}) != progress:
            return None
        return str(progress["digest"]), ShardEntry(**progress["entry"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def finished_shard(directory: Path, name: str, digest: str) -> ShardEntry | None:
    """Returns the entry of a completed shard, or None if it must be written.

    A shard is complete if its input has this digest and its bytes match its progress
    file.
    """
    progress, path = read_progress(directory, name), directory / name
    if progress is None or not path.exists():
        return None
    made_from, entry = progress
    is_same = (
        made_from == digest
        and path.stat().st_size == entry.bytes
        and hash_file(path) == entry.sha256
    )
    return entry if is_same else None


def settings_path(directory: Path) -> Path:
    """Returns the path of the settings of the shards of a directory."""
    return directory / _PROGRESS / "settings.json"


def kept_settings(directory: Path) -> dict[str, Any] | None:
    """Returns the settings of the existing shards; None if there are no shards.

    Raises:
        DataError: The file of the settings is damaged.
    """
    path = settings_path(directory)
    try:
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(
            f"{path}: damaged; delete it and run the same command again. "
            f"Received: {type(error).__name__}"
        ) from error
    return dict(settings)


def progress_path(directory: Path, name: str) -> Path:
    """Returns the path of the progress file of a shard."""
    return directory / _PROGRESS / f"{name}.json"


def remove_leftovers(directory: Path, name: str) -> None:
    """Removes the temporary files of killed writers of a shard."""
    remove_leftovers_of(directory / name)
    remove_leftovers_of(progress_path(directory, name))


def remove_leftovers_of(path: Path) -> None:
    """Removes the temporary files of killed writers of a file."""
    for leftover in path.parent.glob(f".{path.name}.*{_TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes a JSON file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path, and renames the file to `path` after the block."""
    # Unique, because a writer of an earlier run may still be active.
    temporary = path.with_name(f".{path.name}.{uuid4().hex}{_TEMPORARY}")
    try:
        yield temporary
        move_into_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_into_place(temporary: Path, path: Path) -> None:
    """Renames a complete temporary file to its final name."""
    # Flushed before the renaming, so that a power cut cannot leave an incomplete file.
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
