"""Datasets of examples whose inputs are rows of tables.

An example has row numbers of shared tables (videos, users, challenges). The embeddings
of a video are therefore stored once even if many pairs use them, and shuffling an epoch
only shuffles integers. The frames of feature records stay on disk: each batch reads its
own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import tensorflow as tf

from tfrecords.stored_rows import StoredRows
from tfrecords.without_autotune import without_autotune


@dataclass(frozen=True)
class Examples:
    """Labelled examples whose inputs are rows of shared tables.

    Attributes:
        tables: tensor or `StoredRows` (num_entries, …) of each input; float16 is
            converted to float32.
        index: int32 (num_examples,) for each input, the row of each example.
        labels: int32 (num_examples,), classes or 0/1.
        weights: float32 (num_examples,), or (num_examples, num_outputs) for a model
            with several outputs.
    """

    tables: Mapping[str, Any]
    index: Mapping[str, np.ndarray]
    labels: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Examples:
        """Returns the examples at the given positions."""
        return replace(
            self,
            index={name: index[rows] for name, index in self.index.items()},
            labels=self.labels[rows],
            weights=self.weights[rows],
        )

    def num_batches(self, batch_size: int) -> int:
        """Returns the number of batches in one pass, including a smaller last one."""
        return -(-len(self) // batch_size)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Names the cause if batches cannot be read inside the context.

        Raises:
            DataError: An operation failed, and the file of a table has changed.
        """
        try:
            yield
        except tf.errors.OpError:
            for table in self.tables.values():
                if isinstance(table, StoredRows):
                    table.require_unchanged()
            raise

    def rows_within(self, num_bytes: int) -> int:
        """Returns how many examples have inputs of at most so many bytes, at least 1.

        Args:
            num_bytes: number of bytes as float32.
        """
        sizes = [math.prod(table.shape[1:]) for table in self.tables.values()]
        return max(1, num_bytes // (4 * max(1, sum(sizes))))

    def ordered_batches(
        self, batch_size: int, part: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns one pass in order, as (inputs, labels, weights).

        Every batch has `batch_size` rows; the last one is padded with rows of weight
        zero. For `part`, see `training_batches`.
        """
        pieces = _Pieces.of(len(self), batch_size, part)
        order = tf.range(len(self), dtype=tf.int64)
        gather = self._gatherer()
        dataset = pieces.arrange(order).map(
            lambda rows, is_real, _: gather(rows, is_real), num_parallel_calls=1
        )
        return without_autotune(dataset.prefetch(1))

    def keras_batches(
        self,
        batch_size: int,
        *,
        shuffle_seed: int | None = None,
        has_weights: bool = False,
    ) -> tf.data.Dataset:
        """Returns one pass for Keras's `fit`, `evaluate` and `predict`.

        Args:
            batch_size: number of examples per batch; the last one may be smaller.
            shuffle_seed: seed of the order, which changes with every iteration; None
                keeps the order of the examples. Datasets with the same seed have the
                same orders if TensorFlow's global seed is the same.
            has_weights: whether to include weights.

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
        return without_autotune(batches.prefetch(1))

    def training_batches(
        self,
        batch_size: int,
        seed: int,
        first_epoch: int,
        part: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Returns shuffled passes over the examples without end.

        The order of a pass depends on the seed and its number only, so that resumed
        and uninterrupted training use the same batches. A batch never has examples of
        two passes.

        Args:
            batch_size: number of examples in a global batch, over all replicas.
            seed: seed of the order.
            first_epoch: number of the first pass.
            part: the numbers of replicas and workers that share a batch, and the number
                of this worker; None for a single replica.

        Returns:
            (inputs, labels, weights, count), one piece per replica of this worker,
            batch after batch. All pieces have the same shape and are padded with rows
            of weight zero. `count` is float32 (), the number of examples in the global
            batch. The pieces of all replicas together, in order, are the batch of a
            single replica.
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
        # `Dataset.counter` would leak memory: TensorFlow never frees its function.
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        dataset = epochs.flat_map(one_epoch)
        dataset = dataset.map(
            lambda rows, is_real, count: (*gather(rows, is_real), count),
            num_parallel_calls=1,
        )
        # Without a cardinality, workers synchronise before every step.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return without_autotune(dataset.apply(endless).prefetch(1))

    def _gatherer(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        index = {n: tf.convert_to_tensor(i) for n, i in self.index.items()}
        labels = tf.convert_to_tensor(self.labels)
        weights = tf.convert_to_tensor(self.weights)

        @tf.autograph.experimental.do_not_convert
        def gather(rows: Any, is_real: Any) -> tuple[dict[str, Any], Any, Any]:
            inputs = {}
            for name, table in self.tables.items():
                values = _gather(table, tf.gather(index[name], rows))
                is_half = values.dtype == tf.float16
                inputs[name] = tf.cast(values, tf.float32) if is_half else values
            # Weights have one or two axes; see `weights`.
            shape = [-1, *[1] * (weights.shape.rank - 1)]
            masked = tf.gather(weights, rows) * tf.reshape(is_real, shape)
            return inputs, tf.gather(labels, rows), masked

        return cast("Callable[[Any, Any], tuple[Any, Any, Any]]", gather)


def _gather(table: Any, rows: Any) -> Any:
    """Returns rows of a table as a tensor."""
    if not isinstance(table, StoredRows):
        return tf.gather(table, rows)
    values = tf.numpy_function(table.__getitem__, [rows], tf.float16, stateful=False)
    return tf.ensure_shape(values, (*rows.shape, *table.row_shape))


@dataclass(frozen=True)
class _Pieces:
    """The pieces of batches for one worker; a batch has one piece per replica.

    Attributes:
        places: int64 (num_pieces, piece_size), positions in the order of the pass.
        is_real: float32 (num_pieces, piece_size), 0 where padded.
        counts: float32 (num_pieces,), number of examples in the global batch.
    """

    places: np.ndarray
    is_real: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(
        cls, count: int, batch_size: int, part: tf.distribute.InputContext | None
    ) -> _Pieces:
        """Divides `count` examples into pieces."""
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
        """Returns (rows, is_real, count) for each piece, given the order of rows."""
        return tf.data.Dataset.from_tensor_slices(
            (tf.gather(order, self.places), self.is_real, self.counts)
        )
