"""Dropout of units, of modalities, of videos, and of a side of a pair.

A request may have a caption without a video, and a new challenge has one or two posts.
A model that was trained on complete inputs only answers such requests badly. Except for
dropout of units, these layers are not in the paper; see docs/paper.md, choice 30.

The random numbers of an example depend on its position in the global batch, and not on
the number of replicas that share the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops


def draw_for_batch(shape: Sequence[Any], seed: keras.random.SeedGenerator) -> Any:
    """Returns random numbers for the examples of this replica.

    Every replica draws the numbers of the global batch from the same state and takes
    its own part. The batches of all replicas have the same size.

    Args:
        shape: shape of the result; the first axis is the batch of this replica.
        seed: the random state.

    Returns:
        float32 of the given shape, uniform in [0, 1).
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return keras.random.uniform(shape, seed=seed, dtype="float32")
    whole = (replica.num_replicas_in_sync * shape[0], *shape[1:])
    draws = keras.random.uniform(whole, seed=seed, dtype="float32")
    start = replica.replica_id_in_sync_group * shape[0]
    return draws[start : start + shape[0]]


@keras.saving.register_keras_serializable(package="dc_keras")
class DropUnits(keras.layers.Dropout):
    """`keras.layers.Dropout` that does not depend on the number of replicas."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Applies dropout in training."""
        if not training or self.rate == 0:
            return inputs
        shape = ops.shape(inputs)
        given = self.noise_shape or (None,) * len(shape)
        noise_shape = [
            dim if size is None else size
            for dim, size in zip(shape, given, strict=True)
        ]
        kept = draw_for_batch(noise_shape, self.seed_generator) >= self.rate
        return inputs * ops.cast(kept, inputs.dtype) / (1.0 - self.rate)


class _Drop(keras.layers.Layer):
    """Base class of layers that set a part of their inputs to zero in training."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def compute_output_spec(self, *inputs: Any, training: bool = False) -> Any:
        """Returns the shapes and dtypes of the inputs."""
        del training
        return tuple(map(_like, inputs))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        config.update(rate=self.rate, seed=self.seed)
        return config


@keras.saving.register_keras_serializable(package="dc_keras")
class DropModality(_Drop):
    """Drops the frames or the caption of some videos in training.

    A video that has only frames or only a caption is not changed.

    Args:
        rate: share of the videos with frames and caption that lose one of them, in
            [0, 1).
        seed: random seed.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        frames: float (batch_size, num_frames, frame_dim).
        frame_mask: bool (batch_size, num_frames).
        caption: float (batch_size, caption_dim).
        training: whether to apply dropout.

    Returns:
        The three inputs, zero or False where dropped, as for a video without media or
        without a caption.
    """

    def call(
        self, frames: Any, frame_mask: Any, caption: Any, training: bool = False
    ) -> Any:
        """Applies dropout in training."""
        if not training or self.rate == 0:
            return frames, frame_mask, caption
        draws = draw_for_batch((ops.shape(caption)[0],), self.seed_generator)
        has_both = ops.any(frame_mask, axis=1) & ops.any(ops.not_equal(caption, 0), 1)
        is_first_half = draws < self.rate / 2
        loses_one = has_both & (draws < self.rate)
        keeps_frames = ~(loses_one & is_first_half)
        keeps_caption = ~(loses_one & ~is_first_half)
        return (
            frames * ops.cast(keeps_frames, frames.dtype)[:, None, None],
            frame_mask & keeps_frames[:, None],
            caption * ops.cast(keeps_caption, caption.dtype)[:, None],
        )


@keras.saving.register_keras_serializable(package="dc_keras")
class DropItems(_Drop):
    """Drops random items of some sets in training; at least one valid item is kept.

    Args:
        rate: share of the sets that may lose items, in [0, 1).
        seed: random seed.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        values: float (batch_size, num_items, dim).
        valid: bool (batch_size, num_items).
        training: whether to apply dropout.

    Returns:
        Both inputs, zero and False where dropped. The number of kept items is uniform
        over 1, …, the number of valid items, and so is their choice.
    """

    def call(self, values: Any, valid: Any, training: bool = False) -> Any:
        """Applies dropout in training."""
        if not training or self.rate == 0:
            return values, valid
        batch, num_items = ops.shape(valid)[0], valid.shape[1]
        draws = draw_for_batch((batch, num_items + 2), self.seed_generator)
        is_cut, how_many, order = draws[:, 0], draws[:, 1], draws[:, 2:]
        count = ops.sum(ops.cast(valid, "float32"), axis=1)
        kept = ops.where(is_cut < self.rate, ops.floor(how_many * count) + 1, count)
        # The place of each item in a random order of the set; invalid items are last.
        order = ops.where(valid, order, 2.0)
        place = ops.argsort(ops.argsort(order, axis=1), axis=1)
        valid = valid & (ops.cast(place, "float32") < kept[:, None])
        return values * ops.cast(valid, values.dtype)[..., None], valid


def drop_side(x: Any, rate: float, name: str) -> Any:
    """Applies dropout to whole examples of (batch_size, …, dim) in training."""
    if rate == 0:
        return x
    whole = (None, *[1] * (len(x.shape) - 1))
    return DropUnits(rate, noise_shape=whole, name=name)(x)


def _like(tensor: Any) -> Any:
    return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)
