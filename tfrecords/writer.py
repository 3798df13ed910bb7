"""Shards: written whole or not at all, skipped when they are done, listed at the end.

A shard is the unit of work. It is written under a temporary name, renamed when whole,
and remembered in a small file in `.progress/` with a digest of everything that it is
made from. A rerun with the same digest leaves it alone. The manifest comes last and is
taken away before a shard changes: where there is one, it describes the shards.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

import tensorflow as tf

from dc_keras.checksums import hash_file
from dc_keras.errors import DataError
from dc_keras.locking import writing
from tfrecords.schema import SCHEMA_VERSION

MANIFEST = "manifest.json"
KINDS = ("frames", "features")
_PROGRESS = ".progress"
_SHARD_NAME = re.compile(r"(\w+)-(\d{5})-of-(\d{5})\.tfrecord")
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


def shard_of(video_id: str, num_shards: int) -> int:
    """Returns the shard that holds a video, decided by its id alone.

    Args:
        video_id: id of the post.
        num_shards: shards in all, at least 1.
    """
    digest = hashlib.sha256(video_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % num_shards


def shard_name(kind: str, index: int, num_shards: int) -> str:
    """Returns the file name of a shard, such as `frames-00003-of-00010.tfrecord`.

    Raises:
        ValueError: `kind` is not one of `KINDS`, or `index` is not a shard.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={kind!r}")
    if not 0 <= index < num_shards <= 99_999:
        message = (
            "`index` must be from 0 to num_shards - 1, `num_shards` at most 99999. "
            f"Received: index={index}, num_shards={num_shards}"
        )
        raise ValueError(message)
    return f"{kind}-{index:05d}-of-{num_shards:05d}.tfrecord"


def prepare_directory(directory: Path, kind: str, num_shards: int) -> None:
    """Makes the directory, and refuses one that holds other shards.

    Raises:
        DataError: it holds shards of another kind or another number of shards.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(directory / MANIFEST)
    expected = {shard_name(kind, i, num_shards) for i in range(num_shards)}
    for name in list_shards(directory):
        if name not in expected:
            message = (
                f"{directory} holds {name}, of another run; give an empty directory or "
                f"that run's number of shards. Received: num_shards={num_shards}"
            )
            raise DataError(message)


def list_shards(directory: Path) -> list[str]:
    """Returns the names of all shard files in a directory, sorted."""
    names = (path.name for path in directory.iterdir())
    return sorted(name for name in names if _SHARD_NAME.fullmatch(name))


def write_shard(
    directory: Path,
    name: str,
    digest: str,
    records: Iterable[bytes],
    facts: Callable[[], dict[str, Any]],
) -> ShardEntry:
    """Writes a shard: whole under its name, or not at all; the manifest goes first.

    Args:
        directory: where it goes; exists.
        name: from `shard_name`.
        digest: sha256 hex over everything that the shard is made from.
        records: serialised records, in order.
        facts: called after the last record; its answer goes into the entry.

    Returns:
        The entry, as the progress file holds it.
    """
    (directory / MANIFEST).unlink(missing_ok=True)
    return replace_shard(directory, name, digest, records, facts)


def replace_shard(
    directory: Path,
    name: str,
    digest: str,
    records: Iterable[bytes],
    facts: Callable[[], dict[str, Any]],
) -> ShardEntry:
    """Writes a shard as `write_shard` does, under a manifest that stays.

    For whoever writes the manifest anew afterwards, and needs its settings meanwhile.

    Raises:
        DataError: another process writes the same shard.
    """
    with writing(directory / name):
        return _replace_shard(directory, name, digest, records, facts)


def _replace_shard(
    directory: Path,
    name: str,
    digest: str,
    records: Iterable[bytes],
    facts: Callable[[], dict[str, Any]],
) -> ShardEntry:
    remove_leftovers(directory, name)
    temporary = _temporary_path(directory / name)
    num_records = 0
    try:
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for record in records:
                writer.write(record)
                num_records += 1
        entry = ShardEntry(
            name, num_records, hash_file(temporary), temporary.stat().st_size, facts()
        )
        _move_into_place(temporary, directory / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    write_progress(directory, digest, entry)
    return entry


def write_progress(directory: Path, digest: str, entry: ShardEntry) -> None:
    """Remembers that a shard is done, and what it is made from."""
    progress = {"digest": digest, "entry": entry.to_json()}
    _write_json(_progress_path(directory, entry.name), progress)


def read_progress(directory: Path, name: str) -> tuple[str, ShardEntry] | None:
    """Returns what is remembered of a shard, its digest and entry; None for nothing."""
    try:
        progress = json.loads(_progress_path(directory, name).read_text("utf-8"))
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


def write_manifest(
    directory: Path, kind: str, settings: dict[str, Any], entries: Sequence[ShardEntry]
) -> dict[str, Any]:
    """Writes `manifest.json` over finished shards and returns it.

    Args:
        directory: where the shards are.
        kind: "frames" or "features".
        settings: plain values; everything that the records were made with.
        entries: one for every shard.

    Returns:
        `schema_version`, `kind`, `settings`, `num_records`, `shards`, `bad_media` and
        `bad_slides` (sorted by video id) and `counts` (summed over the shards).
    """
    counts: dict[str, int] = {}
    bad: dict[str, list[dict[str, str]]] = {"bad_media": [], "bad_slides": []}
    for entry in entries:
        for name, found in bad.items():
            found.extend(entry.facts.get(name, []))
        for name, count in entry.facts.get("counts", {}).items():
            counts[name] = counts.get(name, 0) + count
    shards = [entry.to_json() for entry in sorted(entries, key=lambda e: e.name)]
    for shard in shards:
        del shard["facts"]
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "settings": settings,
        "num_records": sum(entry.num_records for entry in entries),
        "shards": shards,
        **{name: sorted(b, key=itemgetter("video_id")) for name, b in bad.items()},
        "counts": counts,
    }
    _write_json(directory / MANIFEST, manifest)
    return manifest


def read_manifest(directory: Path) -> dict[str, Any]:
    """Returns the manifest of a directory of records.

    Raises:
        DataError: there is none, or it is not one that this code reads.
    """
    path = directory / MANIFEST
    if not path.is_file():
        message = (
            f"{directory} has no {MANIFEST}; it is written when every shard is done: "
            "run the script that makes these records again"
        )
        raise DataError(message)
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version, kind = manifest["schema_version"], manifest["kind"]
        is_whole = {"settings", "num_records", "shards", "counts"} <= set(manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a manifest: {error!r}") from error
    if version != SCHEMA_VERSION or kind not in KINDS or not is_whole:
        message = (
            f"{path} must be a manifest of schema version {SCHEMA_VERSION} and kind "
            f"{' or '.join(KINDS)}. Received: schema_version={version!r}, kind={kind!r}"
        )
        raise DataError(message)
    return dict(manifest)


def _progress_path(directory: Path, name: str) -> Path:
    return directory / _PROGRESS / f"{name}.json"


def _temporary_path(path: Path) -> Path:
    # A name of its own: a writer that was left behind may still be at work.
    return path.with_name(f".{path.name}.{uuid4().hex}{_TEMPORARY}")


def remove_leftovers(directory: Path, name: str) -> None:
    """Removes what writers of a shard left behind when they were killed."""
    _remove_leftovers(directory / name)
    _remove_leftovers(_progress_path(directory, name))


def _remove_leftovers(path: Path) -> None:
    """Removes what writers of this file left behind when they were killed."""
    for leftover in path.parent.glob(f".{path.name}.*{_TEMPORARY}"):
        leftover.unlink(missing_ok=True)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = _temporary_path(path)
    try:
        text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", "utf-8")
        _move_into_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _move_into_place(temporary: Path, path: Path) -> None:
    # On disk before the name is: after a power cut, a name means a whole file.
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
