"""Feeds models from tables in memory: features are read once, rows are gathered.

An example is a set of row numbers into shared tables (videos, users, challenges), so a
video's embeddings exist once however many pairs see them, and an epoch is a shuffle of
integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError


@dataclass(frozen=True)
class VisionFeatures:
    """Frame embeddings of one vision encoder, a row a video.

    Attributes:
        frames: float16 (num_videos, num_frames, frame_dim), zero where padded.
        mask: bool (num_videos, num_frames), False for repeats and padding.
        spec: the encoder's spec and fingerprint, plain values.
        sampling: how the frames were taken from the media and what became of repeats,
            plain values; serving does the same to raw requests.
    """

    frames: np.ndarray
    mask: np.ndarray
    spec: Mapping[str, Any]
    sampling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureTable:
    """Cached features of a corpus, a row a video.

    Attributes:
        video_ids: the videos, in row order.
        vision: features by encoder name ("VGG16", "ResNet50").
        captions: float32 (num_videos, caption_dim), or None.
        caption_spec: the text encoder's spec and fingerprint, or None.
    """

    video_ids: tuple[str, ...]
    vision: Mapping[str, VisionFeatures]
    captions: np.ndarray | None
    caption_spec: Mapping[str, Any] | None

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number by video id."""
        return {video_id: row for row, video_id in enumerate(self.video_ids)}

    def rows(self, video_ids: Sequence[str]) -> np.ndarray:
        """Returns the rows of some videos, int32.

        Raises:
            DataError: a video has no features.
        """
        missing = [v for v in video_ids if v not in self.row_of]
        if missing:
            raise DataError(
                f"{len(missing)} videos of the study have no features, the first is "
                f"{missing[0]}; run extract_features over records of this corpus"
            )
        return np.array([self.row_of[v] for v in video_ids], np.int32)

    def inputs(self, vision: str | None, use_text: bool) -> dict[str, tf.Tensor]:
        """Returns the input tables of a video model, by input name."""
        wanted = {vision, "text" if use_text else None}
        return {
            name: tensor
            for (source, name), tensor in self._tensors.items()
            if source in wanted
        }

    @cached_property
    def _tensors(self) -> dict[tuple[str, str], tf.Tensor]:
        tensors = {}
        for name, features in self.vision.items():
            tensors[name, "frames"] = tf.convert_to_tensor(features.frames)
            tensors[name, "frame_mask"] = tf.convert_to_tensor(features.mask)
        if self.captions is not None:
            tensors["text", "caption"] = tf.convert_to_tensor(self.captions)
        return tensors


@dataclass(frozen=True)
class Examples:
    """A supervised set whose inputs are rows of shared tables.

    Attributes:
        tables: by input name, a tensor (num_entries, …); float16 is fed as float32.
        index: by input name, int32 (num_examples,), the row of each example.
        labels: int32 classes or 0/1, (num_examples,).
        weights: float32 (num_examples,).
    """

    tables: Mapping[str, tf.Tensor]
    index: Mapping[str, np.ndarray]
    labels: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Examples:
        """Returns the examples at some positions."""
        return replace(
            self,
            index={name: index[rows] for name, index in self.index.items()},
            labels=self.labels[rows],
            weights=self.weights[rows],
        )

    def num_batches(self, batch_size: int) -> int:
        """Batches in one epoch, the last one possibly smaller."""
        return -(-len(self) // batch_size)

    def ordered_batches(self, batch_size: int) -> tf.data.Dataset:
        """One epoch in order, as (inputs, labels, weights)."""
        positions = tf.data.Dataset.range(len(self))
        return self._gather(positions.batch(batch_size))

    def shuffled_batches(
        self, batch_size: int, seed: int, epochs: range
    ) -> tf.data.Dataset:
        """Several epochs, each in an order that (seed, epoch) alone decides.

        An epoch therefore looks the same whether or not training was interrupted
        before it. Batches never cross the end of an epoch.
        """
        count = len(self)

        @tf.autograph.experimental.do_not_convert
        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(count, dtype=tf.int64), seed=[seed, tf.cast(epoch, tf.int32)]
            )
            return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

        numbers = tf.data.Dataset.range(epochs.start, epochs.stop)
        return self._gather(numbers.flat_map(one_epoch))

    def _gather(self, positions: tf.data.Dataset) -> tf.data.Dataset:
        index = {n: tf.convert_to_tensor(i) for n, i in self.index.items()}
        labels = tf.convert_to_tensor(self.labels)
        weights = tf.convert_to_tensor(self.weights)

        @tf.autograph.experimental.do_not_convert
        def look_up(rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], Any, Any]:
            inputs = {}
            for name, table in self.tables.items():
                values = tf.gather(table, tf.gather(index[name], rows))
                is_half = values.dtype == tf.float16
                inputs[name] = tf.cast(values, tf.float32) if is_half else values
            return inputs, tf.gather(labels, rows), tf.gather(weights, rows)

        return positions.map(look_up, num_parallel_calls=1).prefetch(2)
