"""Writes shards atomically, and the manifest that lists them.

A shard is written under a temporary name and renamed when it is complete. A progress
file in `.progress/` records it with a digest of its input, and later runs with the same
digest skip it. The manifest and SHA256SUMS are written last and deleted before a shard
changes, so that an existing manifest always describes the shards.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrecords.errors import DataError
from tfrecords.progress import (
    ShardEntry,
    kept_settings,
    progress_path,
    remove_leftovers,
    remove_leftovers_of,
    replacing,
    settings_path,
    write_json,
    write_progress,
)
from tfrecords.schema import SCHEMA_VERSION
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update
from tfrecords.storage.checksums import SUMS_FILE, hash_directory, hash_file
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.locking import writing
from tfrecords.storage.resumable import describe_difference

MANIFEST = "manifest.json"
KINDS = ("frames", "features")
_SHARD_NAME = re.compile(r"(\w+)-(\d{5})-of-(\d{5})\.tfrecord")


def shard_of(video_id: str, num_shards: int) -> int:
    """Returns the index of the shard of a video, which depends only on its id."""
    digest = hashlib.sha256(video_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % num_shards


def shard_name(kind: str, index: int, num_shards: int) -> str:
    """Returns the file name of a shard, such as `frames-00003-of-00010.tfrecord`."""
    return f"{kind}-{index:05d}-of-{num_shards:05d}.tfrecord"


def prepare_directory(
    directory: Path,
    kind: str,
    num_shards: int,
    settings: dict[str, Any],
    *,
    overwrite: bool = False,
) -> None:
    """Creates the directory, and checks that existing shards have the same settings.

    Raises:
        DataError: It contains shards of another kind or number or with other settings.
    """
    directory.mkdir(parents=True, exist_ok=True)
    finish_update(directory)
    remove_leftovers_of(directory / MANIFEST)
    prefix = f"{kind}-"
    if not all(name.startswith(prefix) for name in list_shards(directory)):
        raise DataError(
            f"{directory} contains {list_shards(directory)[0]}, of another run; give "
            f"an empty directory. Received: kind={kind}"
        )
    before = kept_settings(directory)
    if before is None and (directory / MANIFEST).is_file():
        before = read_manifest(directory)["settings"]
    difference = None if before is None else describe_difference(before, settings)
    if difference is not None and not overwrite:
        raise DataError(
            f"{directory} contains {kind} with other settings; give another --output, "
            f"or replace them with --overwrite. Received: {difference}"
        )
    expected = {shard_name(kind, i, num_shards) for i in range(num_shards)}
    extra = [name for name in list_shards(directory) if name not in expected]
    if extra and not overwrite:
        raise DataError(
            f"{directory} contains {extra[0]}, of another run; give an empty directory "
            f"or that run's number of shards. Received: num_shards={num_shards}"
        )
    if difference is not None:
        _delete_manifest(directory)
    for name in extra:
        (directory / name).unlink()
        progress_path(directory, name).unlink(missing_ok=True)
    if before is None or difference is not None:
        write_json(settings_path(directory), settings)


def _delete_manifest(directory: Path) -> None:
    (directory / MANIFEST).unlink(missing_ok=True)
    (directory / SUMS_FILE).unlink(missing_ok=True)


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
    *,
    keeps_manifest: bool = False,
) -> ShardEntry:
    """Writes a shard atomically, after it deletes the manifest.

    Args:
        directory: Existing directory of the shard.
        name: File name, from `shard_name`.
        digest: Hexadecimal sha256 of everything that determines the shard.
        records: Serialised records, in order.
        facts: Called after the last record; returns the facts of the entry.
        keeps_manifest: Whether the manifest stays; the caller must then write a new
            one.

    Returns:
        The entry of the progress file.

    Raises:
        DataError: Another process writes the same shard.
    """
    if not keeps_manifest:
        _delete_manifest(directory)
    path = directory / name
    with writing(path):
        remove_leftovers(directory, name)
        num_records = 0
        with replacing(path) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in records:
                    writer.write(record)
                    num_records += 1
            sha256, size = hash_file(temporary), temporary.stat().st_size
            entry = ShardEntry(name, num_records, sha256, size, facts())
        write_progress(directory, digest, entry)
        return entry


def write_manifest(
    directory: Path, kind: str, settings: dict[str, Any], entries: Sequence[ShardEntry]
) -> dict[str, Any]:
    """Writes `manifest.json` of completed shards and returns it.

    Returns:
        `schema_version`, `kind`, `settings`, `num_records`, `shards`, `bad_media` and
        `bad_slides` (sorted by video id) and `counts` (summed over the shards).
    """
    # All shards are complete, so that no process writes the settings any more.
    remove_leftovers_of(settings_path(directory))
    counts: dict[str, int] = {}
    bad: dict[str, list[dict[str, str]]] = {"bad_media": [], "bad_slides": []}
    for entry in entries:
        for name, errors in bad.items():
            errors.extend(entry.facts.get(name, []))
        for name, count in entry.facts.get("counts", {}).items():
            counts[name] = counts.get(name, 0) + count
    shards = [asdict(entry) for entry in sorted(entries, key=lambda e: e.name)]
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
    known = {entry.name: entry.sha256 for entry in entries}
    with AtomicUpdate(directory) as files:
        write_json(files.path(MANIFEST), manifest)
        files.commit(hash_directory(directory, known))
    return manifest


def read_manifest(
    directory: Path, required: str | None = None, *, is_verified: bool = True
) -> dict[str, Any]:
    """Returns the manifest of a directory of records.

    Args:
        directory: Directory of the records.
        required: Kind of the records, one of `KINDS`; None for any.
        is_verified: Whether to compare the files with their checksums. Shards are
            excluded, because reading them verifies each record.

    Raises:
        DataError: There is no manifest, its version is not supported, the records are
            of another kind, or a file of the directory is damaged or missing.
    """
    finish_update(directory)
    path = directory / MANIFEST
    if path.is_file() and is_verified:
        is_features = any(directory.glob("features-*"))
        made_by = "extract_features" if is_features else "write_tfrecords"
        verify_directory(directory, made_by, is_checked=is_shard)
    if not path.is_file():
        raise DataError(
            f"{directory} has no {MANIFEST}, so it is not a finished directory of "
            "records; give another, or run the command that writes it again"
            if directory.is_dir()
            else f"{directory} must be a directory of records, but it does not exist"
        )
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version, kind = manifest["schema_version"], manifest["kind"]
        is_whole = {"settings", "num_records", "shards", "counts"} <= set(manifest)
        for shard in manifest.get("shards", ()):
            (directory / shard["name"], shard["sha256"], shard["bytes"] + 1)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a manifest: {error!r}") from error
    if version != SCHEMA_VERSION or kind not in KINDS or not is_whole:
        raise DataError(
            f"{path} must be a manifest of schema version {SCHEMA_VERSION} and kind "
            f"{' or '.join(KINDS)}. Received: schema_version={version!r}, kind={kind!r}"
        )
    if required not in (None, kind):
        raise DataError(
            f"{directory} must contain records of kind {required}. "
            f"Received: kind={kind!r}"
        )
    return dict(manifest)


def is_shard(name: str) -> bool:
    """Returns whether a file name is that of a shard."""
    return _SHARD_NAME.fullmatch(name) is not None
