"""Feeds models from tables in memory: features are read once, rows are gathered.

An example is a set of row numbers into shared tables (videos, users, challenges), so a
video's embeddings exist once however many pairs see them, and an epoch is a shuffle of
integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfrecords.without_autotune import without_autotune


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
        return without_autotune(dataset.prefetch(2))

    def keras_batches(
        self,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        has_weights: bool = False,
    ) -> tf.data.Dataset:
        """One epoch for Keras's `fit`, `evaluate` and `predict`.

        Args:
            batch_size: examples of a batch; the last one may be smaller.
            shuffle_seed: seed of an order that changes with every iteration; None
                keeps the order of the examples. Two datasets of one seed give the same
                orders, as long as TensorFlow's global seed is the same.
            has_weights: whether weights come with the labels.

        Returns:
            (inputs by name, labels), or (inputs by name, labels, weights).
        """
        order = tf.data.Dataset.range(len(self))
        if shuffle_seed is not None:
            order = order.shuffle(max(len(self), 1), seed=shuffle_seed)
        gather = self._gatherer()

        @tf.autograph.experimental.do_not_convert
        def load(rows: tf.Tensor) -> tuple[Any, ...]:
            batch = gather(rows, tf.ones_like(rows, tf.float32))
            return batch if has_weights else batch[:2]

        batches = order.batch(batch_size).map(load, num_parallel_calls=1)
        return without_autotune(batches.prefetch(2))

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
        return without_autotune(dataset.apply(endless).prefetch(2))

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
