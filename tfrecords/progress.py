"""What is remembered of shards while they are made: which are done, made from what.

A small file a shard in `.progress/`, with a digest of everything that the shard is made
from, and `settings.json` with the settings of all. What is damaged counts as not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tfrecords.storage.checksums import hash_file
from dc_keras.errors import DataError

_PROGRESS = ".progress"
_TEMPORARY = ".tmp"


@dataclass(frozen=True)
class ShardEntry:
    """What is known of a finished shard.

    Attributes:
        name: file name.
        num_records: records in it.
        sha256: hex digest of its bytes.
        num_bytes: its size.
        facts: what its maker found on the way: `counts` (name to number), `bad_media`
            and `bad_slides` (lists of `{"video_id", "reason"}`), all optional.
    """

    name: str
    num_records: int
    sha256: str
    num_bytes: int
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Returns plain values, as they stand in the progress file."""
        return {
            "name": self.name,
            "num_records": self.num_records,
            "sha256": self.sha256,
            "bytes": self.num_bytes,
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ShardEntry:
        """Returns the entry that `to_json` gave."""
        return cls(
            name=values["name"],
            num_records=values["num_records"],
            sha256=values["sha256"],
            num_bytes=values["bytes"],
            facts=values["facts"],
        )


def write_progress(directory: Path, digest: str, entry: ShardEntry) -> None:
    """Remembers that a shard is done, and what it is made from."""
    progress = _with_sha256({"digest": digest, "entry": entry.to_json()})
    write_json(progress_path(directory, entry.name), progress)


def _with_sha256(values: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(values, sort_keys=True)
    return {**values, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def read_progress(directory: Path, name: str) -> tuple[str, ShardEntry] | None:
    """Returns what is remembered of a shard, its digest and entry; None for nothing.

    A file that is damaged says nothing: the shard is made anew.
    """
    try:
        progress = json.loads(progress_path(directory, name).read_text("utf-8"))
        if _with_sha256({k: progress[k] for k in ("digest", "entry")}) != progress:
            return None
        return str(progress["digest"]), ShardEntry.from_json(progress["entry"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def finished_shard(directory: Path, name: str, digest: str) -> ShardEntry | None:
    """Returns the entry of a shard that is done, None where it has to be made.

    Done means: made from what `digest` says, and the file has the bytes that its
    progress file remembers.
    """
    progress, path = read_progress(directory, name), directory / name
    if progress is None or not path.exists():
        return None
    made_from, entry = progress
    is_same = (
        made_from == digest
        and path.stat().st_size == entry.num_bytes
        and hash_file(path) == entry.sha256
    )
    return entry if is_same else None


def _settings_path(directory: Path) -> Path:
    return directory / _PROGRESS / "settings.json"


def keep_settings(directory: Path, settings: dict[str, Any]) -> None:
    """Remembers what the shards of a directory are made with."""
    write_json(_settings_path(directory), settings)


def kept_settings(directory: Path) -> dict[str, Any] | None:
    """Returns what the shards that are there were made with; None for no shards.

    Raises:
        DataError: the file that says so is damaged.
    """
    path = _settings_path(directory)
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(
            f"{path}: damaged; delete it, and the same command makes it anew. "
            f"Received: {type(error).__name__}"
        ) from error
    return dict(found)


def progress_path(directory: Path, name: str) -> Path:
    """Returns where it is remembered that a shard is done."""
    return directory / _PROGRESS / f"{name}.json"


def temporary_path(path: Path) -> Path:
    """Returns where a new version of a file is written, beside it."""
    # A name of its own: a writer that was left behind may still be at work.
    return path.with_name(f".{path.name}.{uuid4().hex}{_TEMPORARY}")


def remove_leftovers(directory: Path, name: str) -> None:
    """Removes what writers of a shard left behind when they were killed."""
    remove_leftovers_of(directory / name)
    remove_leftovers_of(progress_path(directory, name))


def remove_leftovers_of(path: Path) -> None:
    """Removes what writers of this file left behind when they were killed."""
    for leftover in path.parent.glob(f".{path.name}.*{_TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Writes a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8")
        move_into_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def move_into_place(temporary: Path, path: Path) -> None:
    """Gives a file that is written its name."""
    # On disk before the name is: after a power cut, a name means a whole file.
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
