"""Training without: a video's frames or caption, most of a challenge's videos, a side.

A planner's brief is a caption without a video, and a new challenge has one or two
posts. A model that has never missed anything in training answers such requests badly.
None of this is in the paper; see docs/paper.md, choice 30. Dropout of units, which is
in the paper, is here because it draws alike.

What an example draws depends on its place in the whole batch, never on how many
replicas share that batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops


def draw_for_batch(shape: Sequence[Any], seed: keras.random.SeedGenerator) -> Any:
    """Draws float32 numbers in [0, 1) for the examples of a replica.

    Every replica draws for the whole batch, from the same state, and takes its own
    part: the replicas' batches have one size, and follow each other in the whole batch.
    `shape` is that of the draws on this replica, its batch size first.
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
    """Dropout whose draws do not depend on the number of replicas.

    Arguments, input and output are those of `keras.layers.Dropout`.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drops; see the class."""
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
    """Hides a part of its inputs in training, and returns all of them."""

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
    """Hides the frames or the caption of some videos in training, never both.

    A video that has only one of the two keeps it.

    Args:
        rate: share of the videos with both that lose one, in [0, 1).
        seed: seed of the draws.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        frames: float (batch_size, num_frames, frame_dim).
        frame_mask: bool (batch_size, num_frames).
        caption: float (batch_size, caption_dim).
        training: whether to hide anything.

    Returns:
        The three, zero or False where hidden: what a video without media, or without a
        caption, looks like.
    """

    def call(
        self, frames: Any, frame_mask: Any, caption: Any, training: bool = False
    ) -> Any:
        """Hides; see the class."""
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
    """Keeps a random part of some sets in training: 1 to all of their valid items.

    Args:
        rate: share of the sets that are cut, in [0, 1).
        seed: seed of the draws.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        values: float (batch_size, num_items, dim).
        valid: bool (batch_size, num_items).
        training: whether to cut anything.

    Returns:
        Both, zero and False where cut. The number kept is uniform over 1 … the number
        of valid items, and which are kept is uniform too.
    """

    def call(self, values: Any, valid: Any, training: bool = False) -> Any:
        """Cuts; see the class."""
        if not training or self.rate == 0:
            return values, valid
        batch, num_items = ops.shape(valid)[0], valid.shape[1]
        draws = draw_for_batch((batch, num_items + 2), self.seed_generator)
        is_cut, how_many, order = draws[:, 0], draws[:, 1], draws[:, 2:]
        count = ops.sum(ops.cast(valid, "float32"), axis=1)
        kept = ops.where(is_cut < self.rate, ops.floor(how_many * count) + 1, count)
        # Invalid items come last; each item's place in a random order of the set.
        order = ops.where(valid, order, 2.0)
        place = ops.argsort(ops.argsort(order, axis=1), axis=1)
        valid = valid & (ops.cast(place, "float32") < kept[:, None])
        return values * ops.cast(valid, values.dtype)[..., None], valid


def drop_side(x: Any, rate: float, name: str) -> Any:
    """Zeroes the vectors (batch_size, …, dim) of some examples in training.

    The others grow by 1 / (1 − rate) there, as dropout has it.
    """
    if rate == 0:
        return x
    whole = (None, *[1] * (len(x.shape) - 1))
    return DropUnits(rate, noise_shape=whole, name=name)(x)


def _like(tensor: Any) -> Any:
    return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)
