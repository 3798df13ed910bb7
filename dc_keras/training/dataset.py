"""Datasets of examples whose inputs are rows of tables.

An example has row numbers of shared tables (videos, users, challenges). The embeddings
of a video are therefore stored once even if many pairs use them, and shuffling an epoch
only shuffles integers. The frames of feature records stay on disk: each batch reads its
own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords.stored_rows import StoredRows
from tfrecords.tensors import without_autotune

# Columns of examples by name: the row in each table ("row/NAME"), "label" and "weight".
Columns = dict[str, Any]


class TrainingExamples(ABC):
    """Labelled examples whose inputs are rows of shared tables, for training.

    Attributes:
        tables: tensor or `StoredRows` (num_entries, …) of each input; float16 is
            converted to float32.
    """

    tables: Mapping[str, Any]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def _windows(self) -> Callable[[Any], tf.data.Dataset]:
        """Returns a function from the seed of a pass, int32 (2,), to its `Columns`.

        Each element has the examples that are shuffled together.
        """

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
        windows, batch_size = self._windows(), min(batch_size, len(self))

        @tf.autograph.experimental.do_not_convert
        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            of_epoch = tf.stack([seed, tf.cast(epoch, tf.int32)])
            shuffled = (
                windows(of_epoch)
                .enumerate()
                .map(
                    lambda number, columns: _shuffle(columns, of_epoch, number),
                    num_parallel_calls=1,
                )
            )
            return _pieces(shuffled.rebatch(batch_size), batch_size, part)

        # `Dataset.counter` would leak memory: TensorFlow never frees its function.
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        dataset = epochs.flat_map(one_epoch).map(
            lambda columns, count: (*self._look_up(columns), count),
            num_parallel_calls=1,
        )
        # Without a cardinality, workers synchronise before every step.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return without_autotune(dataset.apply(endless).prefetch(1))

    @tf.autograph.experimental.do_not_convert
    def _look_up(self, columns: Columns) -> tuple[dict[str, Any], Any, Any]:
        """Returns inputs, labels and weights of a batch."""
        inputs = {}
        for name, table in self.tables.items():
            values = _gather(table, columns[f"row/{name}"])
            is_half = values.dtype == tf.float16
            inputs[name] = tf.cast(values, tf.float32) if is_half else values
        return inputs, columns["label"], columns["weight"]


@dataclass(frozen=True)
class Examples(TrainingExamples):
    """Labelled examples in memory whose inputs are rows of shared tables.

    Attributes:
        tables: see `TrainingExamples`.
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

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns of all examples; see `Columns`."""
        rows = {f"row/{name}": index for name, index in self.index.items()}
        return {**rows, "label": self.labels, "weight": self.weights}

    def _windows(self) -> Callable[[Any], tf.data.Dataset]:
        everything = tf.data.Dataset.from_tensors(self._tensors())
        return lambda _: everything

    def _tensors(self) -> Columns:
        return {name: tf.convert_to_tensor(c) for name, c in self.columns.items()}

    def take(self, rows: np.ndarray | slice) -> Examples:
        """Returns the examples at the given positions."""
        return replace(
            self,
            index={name: index[rows] for name, index in self.index.items()},
            labels=self.labels[rows],
            weights=self.weights[rows],
        )

    def rows_within(self, num_bytes: int) -> int:
        """Returns how many examples have inputs of at most so many bytes, at least 1.

        Args:
            num_bytes: number of bytes as float32.
        """
        size = sum(math.prod(table.shape[1:]) for table in self.tables.values())
        return max(1, num_bytes // (4 * max(1, int(size))))

    def ordered_batches(
        self, batch_size: int, part: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Returns one pass in order, as (inputs, labels, weights).

        Every batch has `batch_size` rows; the last one is padded with rows of weight
        zero. For `part`, see `training_batches`.
        """
        batches = tf.data.Dataset.from_tensors(self._tensors()).rebatch(batch_size)
        pieces = _pieces(batches, batch_size, part)
        dataset = pieces.map(
            lambda columns, _: self._look_up(columns), num_parallel_calls=1
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
        columns = self._tensors()

        @tf.autograph.experimental.do_not_convert
        def load(rows: tf.Tensor) -> tuple[Any, ...]:
            batch = {name: tf.gather(column, rows) for name, column in columns.items()}
            inputs, labels, weights = self._look_up(batch)
            return (inputs, labels, weights) if has_weights else (inputs, labels)

        batches = order.batch(batch_size).map(load, num_parallel_calls=1)
        return without_autotune(batches.prefetch(1))


def _gather(table: Any, rows: Any) -> Any:
    """Returns rows of a table as a tensor."""
    if not isinstance(table, StoredRows):
        return tf.gather(table, rows)
    values = tf.numpy_function(table.__getitem__, [rows], tf.float16, stateful=False)
    return tf.ensure_shape(values, (*rows.shape, *table.row_shape))


def _shuffle(columns: Columns, seed: Any, window: Any) -> Columns:
    """Returns the columns of a window in an order that depends on seed and window."""
    rows = tf.range(tf.shape(columns["label"], tf.int64)[0])
    seed += tf.stack([tf.cast(window, tf.int32), 0])
    order = tf.random.experimental.stateless_shuffle(rows, seed=seed)
    return {name: tf.gather(column, order) for name, column in columns.items()}


def _pieces(
    batches: tf.data.Dataset, batch_size: int, part: tf.distribute.InputContext | None
) -> tf.data.Dataset:
    """Divides batches of columns into a piece per replica, and keeps a worker's own.

    Returns:
        (columns, count) for each piece; see `TrainingExamples.training_batches`.
    """
    part = part or tf.distribute.InputContext()
    num_replicas = part.num_replicas_in_sync
    piece_size = -(-batch_size // num_replicas)
    per_worker = num_replicas // part.num_input_pipelines
    first = part.input_pipeline_id * per_worker

    @tf.autograph.experimental.do_not_convert
    def divide(columns: Columns) -> tuple[Columns, tf.Tensor]:
        count = tf.shape(columns["label"])[0]

        def own(column: tf.Tensor) -> tf.Tensor:
            rest = column.shape[1:]
            missing = num_replicas * piece_size - count
            padded = tf.pad(column, [[0, missing], *[[0, 0]] * len(rest)])
            pieces = tf.reshape(padded, (num_replicas, piece_size, *rest))
            return pieces[first : first + per_worker]

        counts = tf.fill([per_worker], tf.cast(count, tf.float32))
        return {name: own(column) for name, column in columns.items()}, counts

    return batches.map(divide, num_parallel_calls=1).unbatch()
