"""Reads frame records as decoded frames."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from tfrecords.reader import frame_dataset
from tfrecords.schema import (
    CAPTION,
    CREATE_TIME,
    HASHTAGS,
    IMAGES,
    TIMESTAMPS,
    USER_ID,
    VIDEO_ID,
)
from tfrecords.tensors import decode_images
from tfrecords.writer import read_manifest


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
    places = [Path(directory) for directory in directories]
    records = frame_dataset(*places)
    image_size = int(read_manifest(places[0])["settings"]["image_size"])

    @tf.autograph.experimental.do_not_convert
    def decode(record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
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

    decoded = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.prefetch(tf.data.AUTOTUNE)
