"""Reads records one by one, as a `tf.data` pipeline, or all features as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrecords.errors import DataError, RecordError
from tfrecords.memory import aligned_empty
from tfrecords.schema import (
    CAPTION,
    CAPTION_EMBEDDING,
    CREATE_TIME,
    FRAMES,
    FRAMES_MASK,
    HASHTAGS,
    IMAGES,
    TIMESTAMPS,
    USER_ID,
    VIDEO_ID,
    FeatureRecord,
    FrameRecord,
    find_frames,
    parse_feature_record,
    parse_frame_record,
)
from tfrecords.stored_rows import StoredFile, StoredRows
from tfrecords.tensors import decode_images, without_autotune
from tfrecords.writer import read_manifest

# A record is preceded by its length and the checksum of the length, and followed by its
# own checksum.
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
# Features of frame records in the tensors of `frames_dataset`.
_TEXT = tf.io.FixedLenFeature([], tf.string)
_CONTEXT = {
    **{field.key: _TEXT for field in (VIDEO_ID, USER_ID, CAPTION)},
    HASHTAGS.key: tf.io.RaggedFeature(tf.string),
    CREATE_TIME.key: tf.io.FixedLenFeature([], tf.int64, default_value=-1),
}
_STEPS = {
    IMAGES.key: tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
    TIMESTAMPS.key: tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
}


@dataclass(frozen=True)
class FeatureRecords:
    """Features of all posts of a directory, in the order of shards and ids.

    Attributes:
        video_ids: List of num_videos ids.
        frames: float16 (num_videos, num_frames, frame_dim), rows of the shards; None
            without vision.
        frame_mask: bool (num_videos, num_frames), False for repeated frames; None
            without vision.
        captions: float32 (num_videos, caption_dim); None without text.
        settings: Settings of the manifest, with the encoders in `vision` and `text`.
        sha256: Hex digest that identifies the content of the shards.
    """

    video_ids: list[str]
    frames: StoredRows | None
    frame_mask: npt.NDArray[np.bool_] | None
    captions: npt.NDArray[np.float32] | None
    settings: dict[str, Any]
    sha256: str


def read_features(directory: Path) -> FeatureRecords:
    """Reads the feature records of a directory; frame embeddings stay in the shards.

    Raises:
        DataError: There is no manifest of features, or no record.
        RecordError: A record violates the schema, or its shapes differ from the first.
    """
    manifest = read_manifest(directory, "features")
    num_videos, paths = manifest["num_records"], list_shard_paths(directory)
    video_ids: list[str] = []
    files, places = [], []
    shapes: dict[str, tuple[int, ...] | None] = {}
    columns: dict[str, npt.NDArray[Any]] = {}
    for path in paths:
        files.append(StoredFile.of(path))
        for index, (record, place) in enumerate(_locate_frames(path)):
            values = {
                FRAMES.key: record.frames,
                FRAMES_MASK.key: record.frame_mask,
                CAPTION_EMBEDDING.key: record.caption,
            }
            found = {k: None if v is None else v.shape for k, v in values.items()}
            if not video_ids:
                shapes = found
                columns = {
                    key: aligned_empty((num_videos, *value.shape), value.dtype)
                    for key, value in values.items()
                    if value is not None and key != FRAMES.key
                }
            _require_shapes(shapes, found, path.name, index)
            if len(video_ids) < num_videos:
                for key, column in columns.items():
                    column[len(video_ids)] = values[key]
            places.append((len(files) - 1, place))
            video_ids.append(record.video_id)
    if not video_ids or len(video_ids) != num_videos:
        raise DataError(
            f"{directory} must contain the {num_videos} records of its manifest, at "
            f"least one. Received: {len(video_ids)} records"
        )
    digests = [shard["sha256"] for shard in manifest["shards"]]
    return FeatureRecords(
        video_ids=video_ids,
        frames=_store_rows(files, places, shapes[FRAMES.key]),
        frame_mask=columns.get(FRAMES_MASK.key),
        captions=columns.get(CAPTION_EMBEDDING.key),
        settings=manifest["settings"],
        sha256=hashlib.sha256("".join(digests).encode()).hexdigest(),
    )


def iter_frame_records(shard: Path) -> Iterator[FrameRecord]:
    """Yields the frame records of a shard in order.

    Raises:
        RecordError: A record is damaged or violates the schema.
    """
    for index, serialized in enumerate(iter_serialized(shard)):
        yield parse_frame_record(serialized, shard=shard.name, index=index)


def iter_serialized(shard: Path) -> Iterator[bytes]:
    """Yields the records of a shard as bytes, and verifies their checksums.

    Raises:
        RecordError: The shard is damaged at this record.
    """
    index = 0
    try:
        records = without_autotune(tf.data.TFRecordDataset(str(shard)))
        for serialized in records.as_numpy_iterator():
            yield serialized
            index += 1
    except tf.errors.DataLossError as error:
        raise RecordError(
            shard=shard.name,
            index=index,
            key="record",
            expected="complete, with the checksum from when it was written",
            found=error.message,
        ) from error


def list_shard_paths(directory: Path) -> list[Path]:
    """Returns the paths of the shards in the manifest, in order.

    Raises:
        DataError: There is no manifest, or a shard is missing or has another size.
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


def _locate_frames(shard: Path) -> Iterator[tuple[FeatureRecord, int | None]]:
    """Yields the records of a shard, each with the position of its embeddings."""
    start = 0
    for index, serialized in enumerate(iter_serialized(shard)):
        record = parse_feature_record(serialized, shard=shard.name, index=index)
        place = None
        if record.frames is not None:
            place = start + _HEADER_BYTES + find_frames(serialized, record.frames)
        yield record, place
        start += _HEADER_BYTES + len(serialized) + _FOOTER_BYTES


def _require_shapes(
    expected: dict[str, tuple[int, ...] | None],
    found: dict[str, tuple[int, ...] | None],
    shard: str,
    index: int,
) -> None:
    for key, shape in found.items():
        if shape != expected[key]:
            raise RecordError(
                shard=shard,
                index=index,
                key=key,
                expected=f"of shape {expected[key]}, as in the first record",
                found=str(shape),
            )


def _store_rows(
    files: list[StoredFile],
    places: list[tuple[int, int | None]],
    row_shape: tuple[int, ...] | None,
) -> StoredRows | None:
    if row_shape is None:
        return None
    file_of, offset = np.array(places, np.int64).T
    return StoredRows(files, file_of.astype(np.int32), offset, row_shape)


def frames_dataset(*directories: str | Path) -> tf.data.Dataset:
    """Returns the posts of frame records as a dataset of decoded frames.

        for post in tfrecords.frames_dataset("run/frames"):
            show(post["frames"], post["caption"])

    Args:
        *directories: Outputs of `write_tfrecords` with equal `num_frames` and
            `image_size`.

    Returns:
        A dataset of dictionaries, one per post, in order of the shards: `frames` uint8
        RGB (num_frames, image_size, image_size, 3), 0 to 255, with num_frames 0 for a
        post without media; `frame_mask` bool (num_frames,), False for repeated frames;
        `video_id`, `user_id` and `caption` string (); `hashtags` string
        (num_hashtags,); `create_time` int64 (), UTC seconds, -1 if unknown. Use
        `padded_batch` for batches.

    Raises:
        DataError: A directory has no frame records, or their sizes differ.
    """
    if not directories:
        raise DataError("`directories` must name at least one. Received: none")
    paths = []
    sizes: dict[tuple[int, int], Path] = {}
    for directory in map(Path, directories):
        settings = read_manifest(directory, "frames")["settings"]
        sizes[settings["num_frames"], settings["image_size"]] = directory
        paths += [str(path) for path in list_shard_paths(directory)]
    if len(sizes) > 1:
        listed = ", ".join(f"{n}x{px}px in {where}" for (n, px), where in sizes.items())
        raise DataError(f"directories must have equal frames. Received: {listed}")
    [(_, image_size)] = sizes

    @tf.autograph.experimental.do_not_convert
    def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        context, steps = tf.io.parse_single_sequence_example(
            serialized, _CONTEXT, _STEPS
        )
        record = {**context, **steps}
        times = record[TIMESTAMPS.key]
        is_first = tf.range(tf.size(times)) == 0
        return {
            "frames": decode_images(record[IMAGES.key], image_size),
            "frame_mask": is_first | (times != tf.roll(times, 1, 0)),
            "video_id": record[VIDEO_ID.key],
            "user_id": record[USER_ID.key],
            "caption": record[CAPTION.key],
            "hashtags": record[HASHTAGS.key],
            "create_time": record[CREATE_TIME.key],
        }

    records = tf.data.TFRecordDataset(paths)
    decoded = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.prefetch(tf.data.AUTOTUNE)
