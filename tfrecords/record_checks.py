"""Checks of the records of a directory that go beyond the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from tfrecords.schema import FeatureRecord, FrameRecord


class FrameCheck:
    """Checks frame records against the settings of their manifest.

    Args:
        settings: `settings` of the manifest.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._video_ids_without_frames: set[str] = set()
        self.num_records = 0
        self.num_frames = 0

    def check_manifest(self, manifest: dict[str, Any]) -> Iterator[str]:
        """Yields differences between the manifest's counts and the records read."""
        num_empty = len(self._video_ids_without_frames)
        counts = manifest["counts"]
        expected = {
            "with_frames": counts.get("with_frames"),
            "frames": counts.get("frames"),
            "bad_media": counts.get("bad_media"),
        }
        found = {
            "with_frames": self.num_records - num_empty,
            "frames": self.num_frames,
            "bad_media": len(manifest["bad_media"]),
        }
        for name, value in found.items():
            if value != expected[name]:
                yield f"count {name} is {expected[name]}. Found: {value}"
        for bad in manifest["bad_media"]:
            if bad["video_id"] not in self._video_ids_without_frames:
                yield f"bad_media lists {bad['video_id']}, not a post without frames"

    def find_problems(self, record: FrameRecord) -> Iterator[str]:
        """Yields descriptions of the faults of the next record."""
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


class FeatureCheck:
    """Checks feature records against the settings of their manifest and each other.

    Args:
        settings: `settings` of the manifest, with `vision` and `text`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._encoders = {"frames/embedding": "vision", "caption/embedding": "text"}
        self._settings = settings
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.num_records = 0
        self.num_frames = 0

    def find_problems(self, record: FeatureRecord) -> Iterator[str]:
        """Yields descriptions of the faults of the next record."""
        self.num_records += 1
        values = {
            "frames/embedding": record.frames,
            "caption/embedding": record.caption,
        }
        for key, value in values.items():
            encoder = self._encoders[key]
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
