"""Decodes frames to tensors, and reads datasets without waiting for their tuning."""

from __future__ import annotations

import tensorflow as tf


def decode_images(jpegs: tf.Tensor, image_size: int) -> tf.Tensor:
    """Decodes the frames of one record, JPEG files of equal size; there may be none.

    Returns:
        uint8 RGB (num_frames, image_size, image_size, 3), 0 to 255.
    """
    shape = [image_size, image_size, 3]

    @tf.autograph.experimental.do_not_convert
    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(image, shape)

    return tf.map_fn(decode, jpegs, fn_output_signature=tf.TensorSpec(shape, tf.uint8))


def without_autotune(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with autotuning disabled.

    TensorFlow's autotuning thread sleeps for intervals that double each time, and the
    end of an iteration may wait for it: two of five plain reads of 6.7 s took 10.2 s.
    Use explicit buffer sizes and numbers of calls instead of `tf.data.AUTOTUNE`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
