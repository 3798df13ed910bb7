"""Feeds models from tables in memory: features are read once, rows are gathered.

An example is a set of row numbers into shared tables (videos, users, challenges), so a
video's embeddings exist once however many pairs see them, and an epoch is a shuffle of
integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfrecords.memory import is_shareable
from dc_keras.errors import DataError
from tfrecords.without_autotune import untuned


@dataclass(frozen=True)
class VisionFeatures:
    """Frame embeddings of one vision encoder, a row a video.

    Attributes:
        frames: float16 (num_videos, num_frames, frame_dim), zero where padded; not
            copied for TensorFlow if made by `allocation.aligned_empty`.
        mask: bool (num_videos, num_frames), False for repeats and padding.
        spec: the encoder's spec and fingerprint, plain values.
        sampling: how the frames were taken from the media and what became of repeats,
            plain values; serving does the same to raw requests.
    """

    frames: np.ndarray
    mask: np.ndarray
    spec: Mapping[str, Any]
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def mean_frames(self) -> np.ndarray:
        """Mean embedding of the own frames, float32 (num_videos, frame_dim)."""
        count = np.maximum(self.mask.sum(axis=1, keepdims=True), 1)
        weights = (self.mask / count).astype(np.float32)
        means = np.empty((len(self.frames), self.frames.shape[2]), np.float32)
        # A video at a time: as float32, all frames would take twice their memory.
        for row, frames in enumerate(self.frames):
            means[row] = weights[row] @ frames.astype(np.float32)
        return means

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process gets: the fields alone."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


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

    def caption_vectors(self) -> dict[str, np.ndarray] | None:
        """Returns the caption embedding by video id, or None without captions."""
        if self.captions is None:
            return None
        return dict(zip(self.video_ids, self.captions, strict=True))

    def frame_vectors(self) -> dict[str, dict[str, np.ndarray]]:
        """Returns the mean frame embedding by network and video id."""
        return {
            name: dict(zip(self.video_ids, features.mean_frames, strict=True))
            for name, features in self.vision.items()
        }

    def inputs(self, vision: str | None, use_text: bool) -> dict[str, tf.Tensor]:
        """Returns the input tables of a video model, by input name."""
        wanted = {vision, "text" if use_text else None}
        return {
            name: tensor
            for (source, name), tensor in self._tensors.items()
            if source in wanted
        }

    def __getstate__(self) -> dict[str, Any]:
        """What another process gets: no tensors, which would start TensorFlow there."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @cached_property
    def _tensors(self) -> dict[tuple[str, str], tf.Tensor]:
        tensors = {}
        for name, features in self.vision.items():
            tensors[name, "frames"] = _share(features.frames)
            tensors[name, "frame_mask"] = tf.convert_to_tensor(features.mask)
        if self.captions is not None:
            tensors["text", "caption"] = tf.convert_to_tensor(self.captions)
        return tensors


def _share(values: np.ndarray) -> tf.Tensor:
    """Returns an array as a tensor, without a copy where its memory allows that.

    What is shared must not be written to any more.
    """
    if is_shareable(values):
        return tf.experimental.dlpack.from_dlpack(values.__dlpack__())
    return tf.convert_to_tensor(values)


@dataclass(frozen=True)
class Examples:
    """A supervised set whose inputs are rows of shared tables.

    Attributes:
        tables: by input name, a tensor (num_entries, …); float16 is fed as float32.
        index: by input name, int32 (num_examples,), the row of each example.
        labels: int32 classes or 0/1, (num_examples,).
        weights: float32 (num_examples,), or (num_examples, num_outputs) for a model
            with an output a copy.
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

    def ordered_batches(
        self, batch_size: int, part: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """One epoch in order, as (inputs, labels, weights).

        Every batch has `batch_size` rows: the last one is filled up with rows of weight
        zero. For `part` see `training_batches`.
        """
        pieces = _Pieces.of(len(self), batch_size, part)
        order = tf.range(len(self), dtype=tf.int64)
        gather = self._gatherer()
        dataset = pieces.arrange(order).map(
            lambda rows, is_real, _: gather(rows, is_real), num_parallel_calls=1
        )
        return untuned(dataset.prefetch(2))

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        first_epoch: int,
        part: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Epochs without end, each in an order that (seed, epoch) alone decides.

        An epoch therefore looks the same whether or not training was interrupted
        before it. Batches never cross the end of an epoch.

        Args:
            batch_size: examples of a global batch, whatever the number of replicas.
            seed: seed of the order.
            first_epoch: number of the first pass over the examples.
            part: the workers and replicas among which a batch is divided, and which
                worker this is; None for one replica that gets it all.

        Returns:
            (inputs, labels, weights, count), one piece for each replica of this worker,
            batch after batch. All pieces have one shape: where examples are missing,
            rows of weight zero stand in. `count` is float32 (), the number of
            examples in the whole batch. The pieces of all replicas, in order, are the
            batch that a single replica would see.
        """
        pieces = _Pieces.of(len(self), min(batch_size, len(self)), part)

        @tf.autograph.experimental.do_not_convert
        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(len(self), dtype=tf.int64),
                seed=[seed, tf.cast(epoch, tf.int32)],
            )
            return pieces.arrange(order)

        gather = self._gatherer()
        # Not `Dataset.counter`, whose function TensorFlow would keep for ever.
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        dataset = epochs.flat_map(one_epoch)
        dataset = dataset.map(
            lambda rows, is_real, count: (*gather(rows, is_real), count),
            num_parallel_calls=1,
        )
        # Else workers ask each other before every step whether all have a batch.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return untuned(dataset.apply(endless).prefetch(2))

    def _gatherer(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        index = {n: tf.convert_to_tensor(i) for n, i in self.index.items()}
        labels = tf.convert_to_tensor(self.labels)
        weights = tf.convert_to_tensor(self.weights)

        @tf.autograph.experimental.do_not_convert
        def gather(rows: Any, is_real: Any) -> tuple[dict[str, Any], Any, Any]:
            inputs = {}
            for name, table in self.tables.items():
                values = tf.gather(table, tf.gather(index[name], rows))
                is_half = values.dtype == tf.float16
                inputs[name] = tf.cast(values, tf.float32) if is_half else values
            # One weight an example, or one for each output of a model of several.
            shape = [-1, *[1] * (weights.shape.rank - 1)]
            weighed = tf.gather(weights, rows) * tf.reshape(is_real, shape)
            return inputs, tf.gather(labels, rows), weighed

        return cast("Callable[[Any, Any], tuple[Any, Any, Any]]", gather)


@dataclass(frozen=True)
class _Pieces:
    """How an epoch is cut into batches, and those into pieces: one worker's share.

    Attributes:
        places: int64 (num_pieces, piece_size), positions in the epoch's order.
        is_real: float32 (num_pieces, piece_size), 0 where a piece is filled up.
        counts: float32 (num_pieces,), examples in the whole batch.
    """

    places: np.ndarray
    is_real: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(
        cls, count: int, batch_size: int, part: tf.distribute.InputContext | None
    ) -> _Pieces:
        """Cuts `count` examples."""
        part = part or tf.distribute.InputContext()
        num_replicas = part.num_replicas_in_sync
        piece_size = -(-batch_size // num_replicas)
        num_batches = -(-count // max(batch_size, 1))
        batches = np.arange(num_batches * batch_size).reshape(num_batches, batch_size)
        counts = np.minimum(batch_size, count - batches[:, 0]).astype(np.float32)
        missing = num_replicas * piece_size - batch_size
        batches = np.pad(batches, ((0, 0), (0, missing)), constant_values=count)
        pieces = batches.reshape((num_batches, num_replicas, piece_size))
        per_worker = num_replicas // part.num_input_pipelines
        first = part.input_pipeline_id * per_worker
        places = pieces[:, first : first + per_worker].reshape((-1, piece_size))
        is_real = places < count
        return cls(
            np.where(is_real, places, 0),
            is_real.astype(np.float32),
            np.repeat(counts, per_worker),
        )

    def arrange(self, order: tf.Tensor) -> tf.data.Dataset:
        """Returns (rows, is_real, count) a piece, for an epoch's order of rows."""
        return tf.data.Dataset.from_tensor_slices(
            (tf.gather(order, self.places), self.is_real, self.counts)
        )
