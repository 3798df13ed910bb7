"""Parses and decodes records to tensors, inside `tf.data`."""

from __future__ import annotations

import tensorflow as tf

from tfrecords.schema import (
    FEATURES,
    FRAME_CONTEXT,
    FRAME_LISTS,
    FRAMES,
    FRAMES_MASK,
    FRAMES_SHAPE,
)


def parse_frame_tensors(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses a frame record; the frames stay JPEG files.

    Args:
        serialized: string (), a frame record.

    Returns:
        A tensor for each key: string or int64 (), except `clip/label/text` string
        (num_hashtags,), `image/encoded` string (num_frames,) and `image/timestamp`
        int64 (num_frames,). `video/create_time` is `schema.UNKNOWN_TIME` if the record
        has none.
    """
    context, lists = tf.io.parse_single_sequence_example(
        serialized,
        context_features={f.key: f.make_spec() for f in FRAME_CONTEXT},
        sequence_features={f.key: f.make_steps_spec() for f in FRAME_LISTS},
    )
    return {**context, **lists}


def decode_images(jpegs: tf.Tensor, image_size: int) -> tf.Tensor:
    """Decodes the frames of one record.

    Args:
        jpegs: string (num_frames,), JPEG files; num_frames is 0 without media.
        image_size: Height and width of each frame in pixels.

    Returns:
        uint8 RGB (num_frames, image_size, image_size, 3), 0 to 255.
    """
    shape = [image_size, image_size, 3]

    @tf.autograph.experimental.do_not_convert
    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(image, shape)

    return tf.map_fn(decode, jpegs, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def parse_feature_tensors(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Parses a feature record.

    Args:
        serialized: string (), a feature record.

    Returns:
        `video/id` and `user/id` string (), `schema/version` int64 (),
        `frames/embedding` float16 (num_frames, frame_dim), `frames/mask` bool
        (num_frames,) and `caption/embedding` float32 (caption_dim,). Absent values have
        size 0.
    """
    parsed = tf.io.parse_single_example(
        serialized, features={f.key: f.make_spec() for f in FEATURES}
    )
    shape = parsed.pop(FRAMES_SHAPE.key)
    shape = tf.cond(tf.size(shape) > 0, lambda: shape, lambda: tf.zeros([2], tf.int64))
    values = tf.io.decode_raw(parsed[FRAMES.key], tf.float16)
    parsed[FRAMES.key] = tf.reshape(values, shape)
    mask = tf.io.decode_raw(parsed[FRAMES_MASK.key], tf.uint8)
    parsed[FRAMES_MASK.key] = tf.cast(mask, tf.bool)
    return dict(parsed)


def without_autotune(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with autotuning disabled.

    TensorFlow's autotuning thread sleeps for intervals that double each time, and the
    end of an iteration may wait for it: two of five plain reads of 6.7 s took 10.2 s.
    Use explicit buffer sizes and numbers of calls instead of `tf.data.AUTOTUNE`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
