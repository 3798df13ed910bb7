"""Reading: records one by one, as a `tf.data` pipeline, or features all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrecords.memory import aligned_empty
from dc_keras.errors import DataError, RecordError
from tfrecords.without_autotune import untuned
from tfrecords.schema import (
    FeatureRecord,
    FrameRecord,
    parse_feature_record,
    parse_frame_record,
)
from tfrecords.tensors import parse_frame_tensors
from tfrecords.writer import read_manifest


@dataclass(frozen=True)
class FeatureRecords:
    """The features of all posts of a directory, shard by shard, by id in each.

    Attributes:
        video_ids: num_videos ids.
        frames: float16 (num_videos, num_frames, frame_dim); None without vision.
        frame_mask: bool (num_videos, num_frames), True for a frame of its own; None
            without vision.
        captions: float32 (num_videos, caption_dim); None without text.
        settings: the manifest's, with the encoders in `vision` and `text`.
    """

    video_ids: list[str]
    frames: npt.NDArray[np.float16] | None
    frame_mask: npt.NDArray[np.bool_] | None
    captions: npt.NDArray[np.float32] | None
    settings: dict[str, Any]


def read_features(directory: Path) -> FeatureRecords:
    """Reads all feature records of a directory into memory.

    Raises:
        DataError: there is no manifest of features, or no record.
        RecordError: a record breaks the schema or has other sizes than the first.
    """
    manifest = _read_manifest_of("features", directory)
    num_videos = manifest["num_records"]
    video_ids: list[str] = []
    columns: dict[str, npt.NDArray[Any] | None] = {}
    for path in list_shard_paths(directory):
        for index, record in enumerate(iter_feature_records(path)):
            values = {
                "frames/embedding": record.frames,
                "frames/mask": record.frame_mask,
                "caption/embedding": record.caption,
            }
            for key, value in values.items():
                if not video_ids:
                    columns[key] = _make_column(num_videos, value)
                _fill(columns[key], len(video_ids), value, (path.name, index, key))
            video_ids.append(record.video_id)
    if not video_ids or len(video_ids) != num_videos:
        message = (
            f"{directory} must hold the {num_videos} records of its manifest, at least "
            f"one. Received: {len(video_ids)} records"
        )
        raise DataError(message)
    return FeatureRecords(
        video_ids=video_ids,
        frames=columns["frames/embedding"],
        frame_mask=columns["frames/mask"],
        captions=columns["caption/embedding"],
        settings=manifest["settings"],
    )


def iter_frame_records(shard: Path) -> Iterator[FrameRecord]:
    """Yields the frame records of a shard in order.

    Raises:
        RecordError: a record is damaged or breaks the schema.
    """
    return _iter_records(shard, parse_frame_record)


def iter_feature_records(shard: Path) -> Iterator[FeatureRecord]:
    """Yields the feature records of a shard in order.

    Raises:
        RecordError: a record is damaged or breaks the schema.
    """
    return _iter_records(shard, parse_feature_record)


def iter_serialized(shard: Path) -> Iterator[bytes]:
    """Yields the records of a shard as bytes, their checksums checked.

    Raises:
        RecordError: the shard is damaged at this record.
    """
    index = 0
    try:
        records = untuned(tf.data.TFRecordDataset(str(shard)))
        for serialized in records.as_numpy_iterator():
            yield serialized
            index += 1
    except tf.errors.DataLossError as error:
        raise RecordError(
            shard=shard.name,
            index=index,
            key="record",
            expected="whole, with the checksum that it was written with",
            found=error.message,
        ) from error


def frame_dataset(*directories: Path) -> tf.data.Dataset:
    """Returns the frame records of directories as a dataset, in order of the shards.

    The frames stay JPEG files; `tfrecords.tensors.decode_images` makes pixels of them.

    Args:
        *directories: directories of frame records with equal `num_frames` and
            `image_size`.

    Returns:
        A dataset of what `tfrecords.tensors.parse_frame_tensors` gives.

    Raises:
        DataError: a directory has no frame records, or two differ in size.
    """
    if not directories:
        raise DataError("`directories` must name at least one. Received: none")
    paths = []
    sizes: dict[tuple[int, int], Path] = {}
    for directory in directories:
        settings = _read_manifest_of("frames", directory)["settings"]
        sizes[settings["num_frames"], settings["image_size"]] = directory
        paths += [str(path) for path in list_shard_paths(directory)]
    if len(sizes) > 1:
        found = ", ".join(f"{n}x{px}px in {where}" for (n, px), where in sizes.items())
        message = f"directories must have equal frames. Received: {found}"
        raise DataError(message)
    parse = tf.autograph.experimental.do_not_convert(parse_frame_tensors)
    return tf.data.TFRecordDataset(paths).map(
        parse, num_parallel_calls=tf.data.AUTOTUNE
    )


def list_shard_paths(directory: Path) -> list[Path]:
    """Returns the shards that the manifest lists, in order.

    Raises:
        DataError: there is no manifest, or a shard is missing or of another size.
    """
    paths = []
    for shard in read_manifest(directory)["shards"]:
        path = directory / shard["name"]
        if not path.is_file():
            raise DataError(f"{directory} lacks the shard {path.name} of its manifest")
        if path.stat().st_size != shard["bytes"]:
            raise DataError(
                f"{path}: damaged: it must have the {shard['bytes']} bytes of its "
                "manifest; run the script that made it again. "
                f"Received: bytes={path.stat().st_size}"
            )
        paths.append(path)
    return paths


def _read_manifest_of(kind: str, directory: Path) -> dict[str, Any]:
    manifest = read_manifest(directory)
    if manifest["kind"] != kind:
        message = (
            f"{directory} must hold records of kind {kind}. "
            f"Received: kind={manifest['kind']!r}"
        )
        raise DataError(message)
    return manifest


def _iter_records(shard: Path, parse: Callable[..., Any]) -> Iterator[Any]:
    for index, serialized in enumerate(iter_serialized(shard)):
        yield parse(serialized, shard=shard.name, index=index)


def _make_column(
    num_videos: int, first: npt.NDArray[Any] | None
) -> npt.NDArray[Any] | None:
    if first is None:
        return None
    return aligned_empty((num_videos, *first.shape), first.dtype)


def _fill(
    column: npt.NDArray[Any] | None,
    row: int,
    value: npt.NDArray[Any] | None,
    place: tuple[str, int, str],
) -> None:
    """Puts the value of a record into its row."""
    expected = None if column is None else column.shape[1:]
    found = None if value is None else value.shape
    if expected != found:
        shard, index, key = place
        raise RecordError(
            shard=shard,
            index=index,
            key=key,
            expected=f"of shape {expected}, as in the first record",
            found=str(found),
        )
    if column is not None and row < len(column):
        column[row] = value
