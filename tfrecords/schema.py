"""Schema of frame records and feature records: keys, builders and strict parsers.

Each key is defined once, with its type and number of values, for the builders and
parsers of this module. Serialisation is deterministic: equal records give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfrecords.record_fields import Field, RecordReader

SCHEMA_VERSION = 1

VERSION = Field("schema/version", "int64")
VIDEO_ID = Field("video/id", "bytes")
USER_ID = Field("user/id", "bytes")
CAPTION = Field("caption/string", "bytes")
HASHTAGS = Field("clip/label/text", "bytes", count=None)
CREATE_TIME = Field("video/create_time", "int64", is_optional=True)
DURATION = Field("video/duration_us", "int64")
SOURCE_NUM_FRAMES = Field("video/source_num_frames", "int64")
HEIGHT = Field("image/height", "int64")
WIDTH = Field("image/width", "int64")
FORMAT = Field("image/format", "bytes")
COLORSPACE = Field("image/colorspace", "bytes")
IMAGES = Field("image/encoded", "bytes")
TIMESTAMPS = Field("image/timestamp", "int64")

FRAMES = Field("frames/embedding", "bytes", is_optional=True)
FRAMES_SHAPE = Field("frames/shape", "int64", count=2, is_optional=True)
FRAMES_MASK = Field("frames/mask", "bytes", is_optional=True)
CAPTION_EMBEDDING = Field("caption/embedding", "float", count=None, is_optional=True)


@dataclass(frozen=True)
class FrameRecord:
    """One post with its frames.

    Attributes:
        video_id: Id of the post.
        user_id: Pseudonym of its author.
        caption: Caption as posted.
        hashtags: Normalised hashtags.
        create_time: Posting time in UTC seconds; None if unknown.
        duration_us: Duration in microseconds, 0 without media.
        source_num_frames: Number of frames of the media, 0 without media.
        height: Height of each frame in pixels.
        width: Width of each frame in pixels.
        timestamps_us: Start of each frame in microseconds; empty without media.
        jpegs: Frames as RGB JPEG files, as many as `timestamps_us`.
    """

    video_id: str
    user_id: str
    caption: str
    hashtags: tuple[str, ...]
    create_time: int | None
    duration_us: int
    source_num_frames: int
    height: int
    width: int
    timestamps_us: tuple[int, ...]
    jpegs: tuple[bytes, ...]

    @property
    def frame_mask(self) -> npt.NDArray[np.bool_]:
        """False for repeated frames, bool (num_frames,)."""
        times = np.array(self.timestamps_us, dtype=np.int64)
        return np.concatenate([times[:1] == times[:1], times[1:] != times[:-1]])


@dataclass(frozen=True)
class FeatureRecord:
    """One post with its features.

    Attributes:
        video_id: Id of the post.
        user_id: Pseudonym of its author.
        frames: Frame embeddings, float16 (num_frames, frame_dim); None without vision.
        frame_mask: bool (num_frames,), False for repeated frames and padding; None
            without vision.
        caption: Caption embedding, float32 (caption_dim,); None without text.
    """

    video_id: str
    user_id: str
    frames: npt.NDArray[np.float16] | None
    frame_mask: npt.NDArray[np.bool_] | None
    caption: npt.NDArray[np.float32] | None


def build_frame_record(record: FrameRecord) -> bytes:
    """Returns the record as a serialised `tf.train.SequenceExample`.

    Raises:
        ValueError: The numbers of timestamps and frames differ.
    """
    if len(record.jpegs) != len(record.timestamps_us):
        message = (
            f"`timestamps_us` must have the length of `jpegs` ({len(record.jpegs)}). "
            f"Received: timestamps_us={record.timestamps_us!r}"
        )
        raise ValueError(message)
    context: dict[Field, list[Any]] = {
        VERSION: [SCHEMA_VERSION],
        VIDEO_ID: [record.video_id.encode()],
        USER_ID: [record.user_id.encode()],
        CAPTION: [record.caption.encode()],
        HASHTAGS: [tag.encode() for tag in record.hashtags],
        DURATION: [record.duration_us],
        SOURCE_NUM_FRAMES: [record.source_num_frames],
        HEIGHT: [record.height],
        WIDTH: [record.width],
        FORMAT: [b"JPEG"],
        COLORSPACE: [b"RGB"],
    }
    if record.create_time is not None:
        context[CREATE_TIME] = [record.create_time]
    example = tf.train.SequenceExample(context=_features(context))
    for field, values in ((IMAGES, record.jpegs), (TIMESTAMPS, record.timestamps_us)):
        steps = example.feature_lists.feature_list[field.key]
        steps.feature.extend(field.make_feature([value]) for value in values)
    return bytes(example.SerializeToString(deterministic=True))


def build_feature_record(record: FeatureRecord) -> bytes:
    """Returns the record as a serialised `tf.train.Example`.

    Raises:
        ValueError: Only one of `frames` and `frame_mask` is given, or their lengths
            differ.
    """
    values: dict[Field, list[Any]] = {
        VERSION: [SCHEMA_VERSION],
        VIDEO_ID: [record.video_id.encode()],
        USER_ID: [record.user_id.encode()],
    }
    frames, mask = record.frames, record.frame_mask
    if (frames is None) != (mask is None):
        raise ValueError("`frames` and `frame_mask` must be given together")
    if frames is not None and mask is not None:
        if frames.ndim != 2 or mask.shape != frames.shape[:1]:
            message = (
                "`frame_mask` must be as long as `frames` (num_frames, frame_dim). "
                f"Received: frame_mask={mask.shape}, frames={frames.shape}"
            )
            raise ValueError(message)
        values[FRAMES] = [frames.astype("<f2").tobytes()]
        values[FRAMES_SHAPE] = list(frames.shape)
        values[FRAMES_MASK] = [mask.astype(np.uint8).tobytes()]
    if record.caption is not None:
        values[CAPTION_EMBEDDING] = record.caption.astype(np.float32).tolist()
    example = tf.train.Example(features=_features(values))
    return bytes(example.SerializeToString(deterministic=True))


def parse_frame_record(serialized: bytes, *, shard: str, index: int) -> FrameRecord:
    """Parses a frame record and checks all keys.

    Raises:
        RecordError: A key is missing, or has another type, number of values or value.
    """
    reader = RecordReader(shard, index)
    example = reader.parse(tf.train.SequenceExample, serialized)
    read = partial(reader.read, example.context.feature)
    read_texts = partial(reader.read_texts, example.context.feature)
    _check_version(reader, read(VERSION))
    for field, value in ((FORMAT, b"JPEG"), (COLORSPACE, b"RGB")):
        if read(field) != [value]:
            reader.fail(field.key, repr(value), repr(read(field)[0]))
    steps = example.feature_lists.feature_list
    jpegs, times = (reader.read_steps(steps, field) for field in (IMAGES, TIMESTAMPS))
    if len(jpegs) != len(times):
        found = f"{len(times)} for {len(jpegs)} images"
        reader.fail(TIMESTAMPS.key, "one for each image", found)
    created = read(CREATE_TIME)
    return FrameRecord(
        video_id=read_texts(VIDEO_ID)[0],
        user_id=read_texts(USER_ID)[0],
        caption=read_texts(CAPTION)[0],
        hashtags=tuple(read_texts(HASHTAGS)),
        create_time=created[0] if created else None,
        duration_us=read(DURATION)[0],
        source_num_frames=read(SOURCE_NUM_FRAMES)[0],
        height=read(HEIGHT)[0],
        width=read(WIDTH)[0],
        timestamps_us=tuple(times),
        jpegs=tuple(jpegs),
    )


def parse_feature_record(serialized: bytes, *, shard: str, index: int) -> FeatureRecord:
    """Parses a feature record and checks all keys.

    Raises:
        RecordError: A key is missing, or has another type, number of values or size.
    """
    reader = RecordReader(shard, index)
    example = reader.parse(tf.train.Example, serialized)
    features = example.features.feature
    _check_version(reader, reader.read(features, VERSION))
    frames, mask = _read_frames(reader, features)
    caption = reader.read(features, CAPTION_EMBEDDING)
    return FeatureRecord(
        video_id=reader.read_texts(features, VIDEO_ID)[0],
        user_id=reader.read_texts(features, USER_ID)[0],
        frames=frames,
        frame_mask=mask,
        caption=np.array(caption, dtype=np.float32) if caption else None,
    )


def find_frames(serialized: bytes, frames: npt.NDArray[np.float16]) -> int:
    """Returns the position of the first byte of the embeddings in a feature record."""
    data = frames.tobytes()
    start = serialized.index(FRAMES.key.encode()) + len(FRAMES.key)
    # A few bytes with lengths follow the key. A search for all of the embeddings would
    # first analyse them, which takes longer than parsing the record.
    while not serialized.startswith(data, start):
        start += 1
    return start


def _features(values: Mapping[Field, Sequence[Any]]) -> Any:
    return tf.train.Features(
        feature={field.key: field.make_feature(v) for field, v in values.items()}
    )


def _check_version(reader: RecordReader, version: list[int]) -> None:
    if version != [SCHEMA_VERSION]:
        expected = f"{SCHEMA_VERSION}, the supported version"
        reader.fail(VERSION.key, expected, str(version[0]))


def _read_frames(
    reader: RecordReader, features: Mapping[str, Any]
) -> tuple[npt.NDArray[np.float16] | None, npt.NDArray[np.bool_] | None]:
    """Returns the embeddings and the mask, or two None if the record has neither."""
    fields = (FRAMES, FRAMES_SHAPE, FRAMES_MASK)
    values = {field: reader.read(features, field) for field in fields}
    absent = [field.key for field in fields if not values[field]]
    if len(absent) == len(fields):
        return None, None
    if absent:
        reader.fail(absent[0], f"present with {FRAMES.key}", "nothing")
    num_frames, frame_dim = values[FRAMES_SHAPE]
    data, mask = values[FRAMES][0], values[FRAMES_MASK][0]
    if min(num_frames, frame_dim) < 0 or len(data) != 2 * num_frames * frame_dim:
        expected = f"float16 of shape ({num_frames}, {frame_dim})"
        reader.fail(FRAMES.key, expected, f"{len(data)} bytes")
    if len(mask) != num_frames or not set(mask) <= {0, 1}:
        expected = f"{num_frames} bytes of 0 and 1"
        reader.fail(FRAMES_MASK.key, expected, f"{len(mask)} bytes {mask[:8]!r}")
    frames = np.frombuffer(data, dtype="<f2").reshape(num_frames, frame_dim)
    return frames, np.frombuffer(mask, dtype=np.uint8).astype(bool)
