"""Verification: everything that records and their manifest claim, worked out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfrecords.storage.checksums import hash_file
from dc_keras.errors import RecordError
from tfrecords.storage.integrity import find_faults
from tfrecords.reader import iter_serialized
from tfrecords.record_checks import FeatureCheck, FrameCheck
from tfrecords.writer import (
    MANIFEST,
    is_shard,
    list_shards,
    read_manifest,
    shard_name,
    shard_of,
)


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be.

    Attributes:
        shard: file name of the shard, or of the manifest.
        problem: what is wrong, with what was expected and found.
        record: position in the shard; None where it concerns the whole.
        video_id: the post; None where it concerns the whole.
    """

    shard: str
    problem: str
    record: int | None = None
    video_id: str | None = None

    def __str__(self) -> str:
        place = self.shard
        if self.record is not None:
            place += f", record {self.record}"
        if self.video_id is not None:
            place += f" (video {self.video_id})"
        return f"{place}: {self.problem}"


@dataclass(frozen=True)
class VerifyReport:
    """What was checked and what was found.

    Attributes:
        kind: "frames" or "features".
        num_shards: shards read.
        num_records: records read.
        num_frames: frames decoded, or frame embeddings read, repeats included.
        faults: everything that is wrong; empty when all is well.
    """

    kind: str
    num_shards: int
    num_records: int
    num_frames: int
    faults: tuple[Fault, ...]


def verify_records(directory: Path) -> VerifyReport:
    """Reads every record of a directory and checks all that can be checked.

    Every other file: its checksum. The manifest: each shard's size, sha256 and number
    of records, the totals, no shard too many. Each record: checksum, schema, the shard
    that its id belongs to, ascending ids (which makes them unique, over all shards).
    Frames: each JPEG decodes to the stated size, timestamps ascend inside the duration,
    the number of frames is that of the settings. Features: equal shapes, finite values,
    the encoders of the settings.

    Raises:
        DataError: there is no manifest that this code reads.
    """
    manifest = read_manifest(directory, is_verified=False)
    check = FrameCheck if manifest["kind"] == "frames" else FeatureCheck
    contents: FrameCheck | FeatureCheck = check(manifest["settings"])
    faults = list(_check_listing(directory, manifest))
    for index, shard in enumerate(
        tqdm(manifest["shards"], unit="shard", desc="verify")
    ):
        path = directory / shard["name"]
        if not path.is_file():
            continue
        faults += _check_bytes(path, shard)
        faults += _check_records(path, index, manifest, contents)
    if not faults:
        faults += _check_totals(manifest, contents)
    return VerifyReport(
        kind=manifest["kind"],
        num_shards=len(manifest["shards"]),
        num_records=contents.num_records,
        num_frames=contents.num_frames,
        faults=tuple(faults),
    )


def _check_listing(directory: Path, manifest: dict[str, Any]) -> Iterator[Fault]:
    """Compares the names in the manifest with what they must be and what is there."""
    names = [shard["name"] for shard in manifest["shards"]]
    for index, name in enumerate(names):
        expected = shard_name(manifest["kind"], index, len(names))
        if name != expected:
            yield Fault(MANIFEST, f"shard {index} must be {expected}. Found: {name}")
    for name in list_shards(directory):
        if name not in names:
            yield Fault(name, f"is not in {MANIFEST}")
    for name in names:
        if not (directory / name).is_file():
            yield Fault(name, "is missing")
    for name, problem in find_faults(directory, is_checked=is_shard):
        yield Fault(name, f"is {problem}")


def _check_bytes(path: Path, shard: dict[str, Any]) -> Iterator[Fault]:
    found = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    for key, value in found.items():
        if value != shard[key]:
            yield Fault(path.name, f"{key} must be {shard[key]}. Found: {value}")


def _check_records(
    path: Path,
    shard_index: int,
    manifest: dict[str, Any],
    contents: FrameCheck | FeatureCheck,
) -> Iterator[Fault]:
    shards = manifest["shards"]
    num_read, previous = 0, ""
    try:
        for index, serialized in enumerate(iter_serialized(path)):
            num_read += 1
            try:
                video_id, problems = contents.check(
                    serialized, shard=path.name, index=index
                )
            except RecordError as error:
                yield _as_fault(error)
                continue
            problems += _check_id(video_id, previous, shard_index, len(shards))
            for problem in problems:
                yield Fault(path.name, problem, index, video_id)
            previous = video_id
    except RecordError as error:
        # Nothing behind the damage can be read: its number says nothing.
        yield _as_fault(error)
        return
    if num_read != shards[shard_index]["num_records"]:
        expected = shards[shard_index]["num_records"]
        yield Fault(path.name, f"must hold {expected} records. Found: {num_read}")


def _check_id(
    video_id: str, previous: str, shard_index: int, num_shards: int
) -> Iterator[str]:
    home = shard_of(video_id, num_shards)
    if home != shard_index:
        yield f"belongs to shard {home}, not {shard_index}"
    if video_id <= previous:
        yield f"must have a greater id than the record before it, {previous}"


def _as_fault(error: RecordError) -> Fault:
    _, _, problem = str(error).partition(": ")
    return Fault(error.shard, problem, error.index)


def _check_totals(
    manifest: dict[str, Any], contents: FrameCheck | FeatureCheck
) -> Iterator[Fault]:
    if contents.num_records != manifest["num_records"]:
        expected = manifest["num_records"]
        yield Fault(
            MANIFEST, f"num_records is {expected}. Found: {contents.num_records}"
        )
    for problem in contents.check_manifest(manifest):
        yield Fault(MANIFEST, problem)
