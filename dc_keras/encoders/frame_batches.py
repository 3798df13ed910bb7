"""Decodes JPEG files in batches with tf.data, and embeds them with any runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dc_keras.errors import DataError
from tfrecords.tensors import without_autotune

# A function from batches of decoded frames, uint8 (any, size, size, 3), to their
# embeddings, float32 (any, embedding_dim), in the same order.
Inference: TypeAlias = Callable[
    [Iterable[tf.Tensor]], Iterator[npt.NDArray[np.float32]]
]


class FrameEncoder(Protocol):
    """An encoder of frames, for example `vision.VisionEncoder`."""

    @property
    def embedding_dim(self) -> int:
        """Width of an embedding."""

    def settings(self) -> dict[str, Any]:
        """Returns the settings of this encoder for a manifest."""

    def inference(self, frame_size: int) -> Inference:
        """Returns the function that embeds batches of frames."""


def as_graph(model: keras.Model, spec: tf.TensorSpec) -> Callable[[Any], Any]:
    """Returns the inference call of a model as a graph for one input spec."""
    graph: Callable[[Any], Any] = tf.function(
        lambda x: model(x, training=False), input_signature=[spec], autograph=False
    )
    return graph


def frame_spec(size: int) -> tf.TensorSpec:
    """Returns the spec of a batch of frames, uint8 (any, size, size, 3)."""
    return tf.TensorSpec((None, size, size, 3), tf.uint8)


def decode_frame(jpeg: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG, for both extraction and serving.

    Returns:
        uint8 RGB (height, width, 3).
    """
    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")


def embed_jpegs(
    jpegs: Sequence[bytes],
    inference: Inference,
    *,
    embedding_dim: int,
    size: int,
    batch_size: int,
) -> npt.NDArray[np.float32]:
    """Returns the embeddings of frames.

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
