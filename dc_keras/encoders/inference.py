"""The interface of frame encoders, independent of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

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
        """Returns the function that embeds batches of frames.

        Args:
            frame_size: width and height of the frames in px.
        """


def as_graph(model: keras.Model, spec: tf.TensorSpec) -> Callable[[Any], Any]:
    """Returns the inference call of a model as a graph for one input spec."""
    graph: Callable[[Any], Any] = tf.function(
        lambda x: model(x, training=False), input_signature=[spec], autograph=False
    )
    return graph


def frame_spec(size: int) -> tf.TensorSpec:
    """Returns the spec of a batch of frames, uint8 (any, size, size, 3)."""
    return tf.TensorSpec((None, size, size, 3), tf.uint8)
