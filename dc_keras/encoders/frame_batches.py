"""Decodes JPEG files in batches with tf.data, and embeds them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dc_keras.encoders.inference import Inference
from dc_keras.encoders.vision import decode_frame
from dc_keras.errors import DataError
from tfrecords.tensors import without_autotune


def embed_jpegs(
    jpegs: Sequence[bytes],
    inference: Inference,
    *,
    embedding_dim: int,
    size: int,
    batch_size: int,
) -> npt.NDArray[np.float32]:
    """Returns the embeddings of frames.

    Args:
        jpegs: JPEG files, in order.
        inference: function that embeds batches of frames.
        embedding_dim: width of an embedding.
        size: width and height of every frame in px.
        batch_size: number of frames per step.

    Returns:
        float32 (num_jpegs, embedding_dim).

    Raises:
        DataError: a frame is no JPEG of that size.
    """
    rows = np.empty((len(jpegs), embedding_dim), np.float32)
    batches = decoded_batches(jpegs, size, batch_size)
    try:
        for i, embedded in enumerate(inference(batches)):
            rows[i * batch_size : (i + 1) * batch_size] = embedded
    except tf.errors.InvalidArgumentError as error:
        # TensorFlow's message begins with the name of the node, in double braces.
        reason = error.message.splitlines()[0].rpartition("}} ")[2]
        raise DataError(
            f"every frame must be a JPEG of {size}×{size} px; find the damaged record "
            f"with verify_tfrecords. Received: {reason}"
        ) from error
    return rows


def decoded_batches(
    jpegs: Sequence[bytes], size: int, batch_size: int
) -> tf.data.Dataset:
    """Returns batches of frames, uint8 (batch_size, size, size, 3).

    The last batch may be smaller.
    """

    @tf.autograph.experimental.do_not_convert
    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(decode_frame(jpeg), (size, size, 3))

    files = tf.constant(list(jpegs), tf.string, shape=(len(jpegs),))
    batches = (
        tf.data.Dataset.from_tensor_slices(files)
        .map(decode, num_parallel_calls=os.cpu_count() or 1)
        .batch(batch_size)
        .prefetch(2)
    )
    return without_autotune(batches)
