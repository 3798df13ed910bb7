"""How encoders are run: batches in, embeddings out, whatever computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

# Batches of decoded frames, uint8 (any, size, size, 3) → their embeddings, float32
# (any, embedding_dim), in the same order.
Inference: TypeAlias = Callable[
    [Iterable[tf.Tensor]], Iterator[npt.NDArray[np.float32]]
]


class FrameEncoder(Protocol):
    """What turns frames into embeddings; `vision.VisionEncoder` is one."""

    @property
    def embedding_dim(self) -> int:
        """Width of an embedding."""

    def settings(self) -> dict[str, Any]:
        """Returns what a manifest says about this encoder."""

    def inference(self, frame_size: int) -> Inference:
        """Returns what embeds batches of frames.

        Args:
            frame_size: side of the frames in px.
        """


def as_graph(model: keras.Model, spec: tf.TensorSpec) -> Callable[[Any], Any]:
    """Returns a model's call, without training, as a graph of one input shape."""
    graph: Callable[[Any], Any] = tf.function(
        lambda x: model(x, training=False), input_signature=[spec], autograph=False
    )
    return graph


def frame_spec(size: int) -> tf.TensorSpec:
    """Returns the shape of a batch of frames, uint8 (any, size, size, 3)."""
    return tf.TensorSpec((None, size, size, 3), tf.uint8)
