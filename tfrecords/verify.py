"""Verifies the records of a directory and their manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tfrecords.errors import RecordError
from tfrecords.reader import iter_serialized
from tfrecords.record_checks import FeatureCheck, FrameCheck
from tfrecords.schema import (
    FeatureRecord,
    FrameRecord,
    parse_feature_record,
    parse_frame_record,
)
from tfrecords.storage.checksums import hash_file
from tfrecords.storage.integrity import find_faults
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
    """A fault of a shard, a record or the manifest.

    Attributes:
        shard: File name of the shard, or of the manifest.
        problem: Description of the fault, with the expected and the actual value.
        record: Position in the shard; None for a fault of the whole file.
        video_id: Id of the post; None for a fault of the whole file.
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
    """Result of a verification.

    Attributes:
        kind: "frames" or "features".
        num_shards: Number of shards read.
        num_records: Number of records read.
        num_frames: Number of frames decoded, or of frame embeddings read, including
            repeated frames.
        faults: All faults; empty if there are none.
    """

    kind: str
    num_shards: int
    num_records: int
    num_frames: int
    faults: tuple[Fault, ...]


def verify_records(directory: Path) -> VerifyReport:
    """Reads and verifies all records of a directory.

    The checks are:

    - Shards: size, sha256 and number of records as in the manifest, no additional
      shard, and the totals of the manifest.
    - Other files: checksum.
    - Records: checksum, schema, the shard determined by the id, and ascending ids,
      which are therefore unique over all shards.
    - Frames: each JPEG decodes to the stated size, timestamps ascend within the
      duration, and the number of frames is that of the settings.
    - Features: equal shapes, finite values, and the encoders of the settings.

    Raises:
        DataError: There is no manifest with a supported version.
    """
    manifest = read_manifest(directory, is_verified=False)
    check = FrameCheck if manifest["kind"] == "frames" else FeatureCheck
    contents: FrameCheck | FeatureCheck = check(manifest["settings"])
    faults = list(_check_listing(directory, manifest))
    for index, shard in enumerate(
        tqdm(manifest["shards"], unit="shard", desc="verify", disable=None)
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
    """Compares the shard names in the manifest with the expected and actual files."""
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
    actual = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    for key, value in actual.items():
        if value != shard[key]:
            yield Fault(path.name, f"{key} must be {shard[key]}. Found: {value}")


def _check_records(
    path: Path,
    shard_index: int,
    manifest: dict[str, Any],
    contents: Any,
) -> Iterator[Fault]:
    is_frames = isinstance(contents, FrameCheck)
    parse = parse_frame_record if is_frames else parse_feature_record
    shards = manifest["shards"]
    num_read, previous = 0, ""
    try:
        for index, serialized in enumerate(iter_serialized(path)):
            num_read += 1
            try:
                record: FrameRecord | FeatureRecord = parse(
                    serialized, shard=path.name, index=index
                )
            except RecordError as error:
                yield _as_fault(error)
                continue
            video_id = record.video_id
            for problem in (
                *contents.find_problems(record),
                *_check_id(video_id, previous, shard_index, len(shards)),
            ):
                yield Fault(path.name, problem, index, video_id)
            previous = video_id
    except RecordError as error:
        # Records after the damage cannot be read, so that their number is unknown.
        yield _as_fault(error)
        return
    if num_read != shards[shard_index]["num_records"]:
        expected = shards[shard_index]["num_records"]
        yield Fault(path.name, f"must contain {expected} records. Found: {num_read}")


def _check_id(
    video_id: str, previous: str, shard_index: int, num_shards: int
) -> Iterator[str]:
    home = shard_of(video_id, num_shards)
    if home != shard_index:
        yield f"belongs to shard {home}, not {shard_index}"
    if video_id <= previous:
        yield f"must have a greater id than the previous record, {previous}"


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
    if isinstance(contents, FrameCheck):
        for problem in contents.check_manifest(manifest):
            yield Fault(MANIFEST, problem)
