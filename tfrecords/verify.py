"""Verifies the records of a directory and their manifest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from tfrecords.errors import RecordError
from tfrecords.reader import iter_serialized
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
class VerifyReport:
    """Result of a verification.

    Attributes:
        kind: "frames" or "features".
        num_shards: Number of shards read.
        num_records: Number of records read.
        num_frames: Number of frames decoded, or of frame embeddings read, including
            repeated frames.
        faults: A line for each fault: the shard, the record, the id and the problem.
    """

    kind: str
    num_shards: int
    num_records: int
    num_frames: int
    faults: tuple[str, ...]


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
    check = _FrameCheck if manifest["kind"] == "frames" else _FeatureCheck
    contents: _FrameCheck | _FeatureCheck = check(manifest["settings"])
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


def _check_listing(directory: Path, manifest: dict[str, Any]) -> Iterator[str]:
    names = [shard["name"] for shard in manifest["shards"]]
    for index, name in enumerate(names):
        expected = shard_name(manifest["kind"], index, len(names))
        if name != expected:
            yield f"{MANIFEST}: shard {index} must be {expected}. Found: {name}"
    for name in list_shards(directory):
        if name not in names:
            yield f"{name}: is not in {MANIFEST}"
    for name in names:
        if not (directory / name).is_file():
            yield f"{name}: is missing"
    for name, problem in find_faults(directory, is_checked=is_shard):
        yield f"{name}: is {problem}"


def _check_bytes(path: Path, shard: dict[str, Any]) -> Iterator[str]:
    actual = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
    for key, value in actual.items():
        if value != shard[key]:
            yield f"{path.name}: {key} must be {shard[key]}. Found: {value}"


def _check_records(
    path: Path,
    shard_index: int,
    manifest: dict[str, Any],
    contents: Any,
) -> Iterator[str]:
    is_frames = isinstance(contents, _FrameCheck)
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
                yield str(error)
                continue
            video_id = record.video_id
            for problem in (
                *contents.find_problems(record),
                *_check_id(video_id, previous, shard_index, len(shards)),
            ):
                yield f"{path.name}, record {index} (video {video_id}): {problem}"
            previous = video_id
    except RecordError as error:
        # Records after the damage cannot be read, so that their number is unknown.
        yield str(error)
        return
    if num_read != shards[shard_index]["num_records"]:
        expected = shards[shard_index]["num_records"]
        yield f"{path.name}: must contain {expected} records. Found: {num_read}"


def _check_id(
    video_id: str, previous: str, shard_index: int, num_shards: int
) -> Iterator[str]:
    home = shard_of(video_id, num_shards)
    if home != shard_index:
        yield f"belongs to shard {home}, not {shard_index}"
    if video_id <= previous:
        yield f"must have a greater id than the previous record, {previous}"


def _check_totals(
    manifest: dict[str, Any], contents: _FrameCheck | _FeatureCheck
) -> Iterator[str]:
    if contents.num_records != manifest["num_records"]:
        expected = manifest["num_records"]
        yield f"{MANIFEST}: num_records is {expected}. Found: {contents.num_records}"
    if isinstance(contents, _FrameCheck):
        for problem in contents.check_manifest(manifest):
            yield f"{MANIFEST}: {problem}"


class _FrameCheck:
    """Checks frame records against the settings of their manifest."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._video_ids_without_frames: set[str] = set()
        self.num_records = 0
        self.num_frames = 0

    def check_manifest(self, manifest: dict[str, Any]) -> Iterator[str]:
        found = {
            "with_frames": self.num_records - len(self._video_ids_without_frames),
            "frames": self.num_frames,
            "bad_media": len(manifest["bad_media"]),
        }
        for name, value in found.items():
            expected = manifest["counts"].get(name)
            if value != expected:
                yield f"count {name} is {expected}. Found: {value}"
        for bad in manifest["bad_media"]:
            if bad["video_id"] not in self._video_ids_without_frames:
                yield f"bad_media lists {bad['video_id']}, not a post without frames"

    def find_problems(self, record: FrameRecord) -> Iterator[str]:
        self.num_records += 1
        self.num_frames += len(record.jpegs)
        if not record.jpegs:
            self._video_ids_without_frames.add(record.video_id)
        yield from self._check_count(record)
        yield from _check_times(record)
        yield from self._check_images(record)

    def _check_count(self, record: FrameRecord) -> Iterator[str]:
        num_frames, limit = len(record.jpegs), self._settings["num_frames"]
        allowed = {0, limit}
        if self._settings["fps"] > 0:
            allowed = set(range(limit + 1))
        if num_frames not in allowed:
            yield f"must have {limit} frames or none. Found: {num_frames}"
        num_own = int(record.frame_mask.sum())
        if (num_frames == 0) != (record.source_num_frames == 0):
            found = f"{num_frames} frames of {record.source_num_frames}"
            yield f"must have frames exactly if its media has. Found: {found}"
        elif num_own > record.source_num_frames:
            yield f"has {num_own} different frames of {record.source_num_frames}"

    def _check_images(self, record: FrameRecord) -> Iterator[str]:
        size = self._settings["image_size"]
        if (record.height, record.width) != (size, size):
            yield f"must be {size}x{size}. Found: {record.height}x{record.width}"
        previous = None
        for position, jpeg in enumerate(record.jpegs):
            # Repeated frames have the same bytes and are decoded once.
            if jpeg != previous:
                yield from _check_jpeg(position, jpeg, (record.height, record.width, 3))
            previous = jpeg


class _FeatureCheck:
    """Checks feature records against the settings of their manifest and each other."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.num_records = 0
        self.num_frames = 0

    def find_problems(self, record: FeatureRecord) -> Iterator[str]:
        self.num_records += 1
        for key, encoder, value in (
            ("frames/embedding", "vision", record.frames),
            ("caption/embedding", "text", record.caption),
        ):
            if (value is None) != (self._settings[encoder] is None):
                found = "nothing" if value is None else f"an array {value.shape}"
                yield f"`{key}` must be present only with {encoder}. Found: {found}"
            if value is None:
                continue
            shape = self._shapes.setdefault(key, value.shape)
            if value.shape != shape:
                yield f"`{key}` must be {shape}, as in the first. Found: {value.shape}"
            if not np.isfinite(value).all():
                yield f"`{key}` must be finite. Found: NaN or infinity"
        if record.frames is not None:
            self.num_frames += len(record.frames)


def _check_times(record: FrameRecord) -> Iterator[str]:
    times = record.timestamps_us
    if list(times) != sorted(times):
        yield "timestamps must ascend"
    if times and not 0 <= min(times) <= max(times) < record.duration_us:
        found = f"{min(times)} to {max(times)} in {record.duration_us} us"
        yield f"timestamps must be inside the duration. Found: {found}"


def _check_jpeg(
    position: int, jpeg: bytes, expected: tuple[int, int, int]
) -> Iterator[str]:
    data = np.frombuffer(jpeg, dtype=np.uint8)
    pixels = (
        cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if jpeg[:2] == b"\xff\xd8" else None
    )
    if pixels is None:
        yield f"frame {position} must be a JPEG. Found: {jpeg[:8]!r}"
    elif pixels.shape != expected:
        yield f"frame {position} must decode to {expected}. Found: {pixels.shape}"
