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

from dc_keras.options import TrainingOptions
from tfrecords.stored_rows import StoredRows
from tfrecords.tensors import without_autotune

# Columns of examples by name: the row in each table ("row/NAME"), "label" and "weight".
Columns = dict[str, Any]
# Divides batches of columns into the pieces of a worker's replicas; see `_divider`.
Divide = Callable[[Columns], tuple[Columns, tf.Tensor]]


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
    def _passes(
        self, divide: Divide, batch_size: int
    ) -> Callable[[Any], tf.data.Dataset]:
        """Returns a function from the seed of a pass, int32 (2,), to its pieces.

        Args:
            divide: divides consecutive batches into the pieces of this worker.
            batch_size: number of examples in a global batch.
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
        batch_size = min(batch_size, len(self))
        divide = _divider(batch_size, part or tf.distribute.InputContext())
        pieces_of = self._passes(divide, batch_size)

        @tf.autograph.experimental.do_not_convert
        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            return pieces_of(tf.stack([seed, tf.cast(epoch, tf.int32)]))

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
        return self._look_up_inputs(columns), columns["label"], columns["weight"]

    def _look_up_inputs(self, columns: Columns) -> dict[str, Any]:
        inputs = {}
        for name, table in self.tables.items():
            values = _gather(table, columns[f"row/{name}"])
            is_half = values.dtype == tf.float16
            inputs[name] = tf.cast(values, tf.float32) if is_half else values
        return inputs


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

    def _passes(
        self, divide: Divide, batch_size: int
    ) -> Callable[[Any], tf.data.Dataset]:
        columns = self._tensors()

        def pieces_of(seed: tf.Tensor) -> tf.data.Dataset:
            pieces = divide(shuffle(columns, seed))
            return tf.data.Dataset.from_tensor_slices(pieces)

        return pieces_of

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
        """Returns how many examples have inputs of so many bytes, at least 1."""
        size = sum(math.prod(table.shape[1:]) for table in self.tables.values())
        return max(1, num_bytes // (4 * max(1, int(size))))

    def inputs_at(self, start: int, count: int) -> dict[str, tf.Tensor]:
        """Returns inputs of consecutive examples; beyond the last, copies of it."""
        positions = np.minimum(np.arange(start, start + count), len(self) - 1)
        rows = {f"row/{name}": index[positions] for name, index in self.index.items()}
        return self._look_up_inputs(rows)

    def keras_batches(
        self, batch_size: int, shuffle_seed: int | None = None
    ) -> tf.data.Dataset:
        """Returns one pass for Keras's `fit`, `evaluate` and `predict`.

        Args:
            batch_size: number of examples per batch; the last one may be smaller.
            shuffle_seed: seed of the order, which changes with every iteration; None
                keeps the order of the examples.

        Returns:
            (inputs by name, labels).

        Raises:
            DataError: `batch_size` is outside its range.
        """
        TrainingOptions(batch_size=batch_size)  # checks the range
        order = tf.data.Dataset.range(len(self))
        if shuffle_seed is not None:
            order = order.shuffle(max(len(self), 1), seed=shuffle_seed)
        columns = self._tensors()

        @tf.autograph.experimental.do_not_convert
        def load(rows: tf.Tensor) -> tuple[Any, ...]:
            batch = {name: tf.gather(column, rows) for name, column in columns.items()}
            return self._look_up_inputs(batch), batch["label"]

        batches = order.batch(batch_size).map(load, num_parallel_calls=1)
        return without_autotune(batches.prefetch(1))


def _gather(table: Any, rows: Any) -> Any:
    """Returns rows of a table as a tensor."""
    if not isinstance(table, StoredRows):
        return tf.gather(table, rows)
    values = tf.numpy_function(table.__getitem__, [rows], tf.float16, stateful=False)
    return tf.ensure_shape(values, (*rows.shape, *table.row_shape))


def shuffle(columns: Columns, seed: tf.Tensor) -> Columns:
    """Returns columns in an order that depends on the seed, int32 (2,)."""
    rows = tf.range(tf.shape(columns["label"], tf.int64)[0])
    order = tf.random.experimental.stateless_shuffle(rows, seed=seed)
    return {name: tf.gather(column, order) for name, column in columns.items()}


def _divider(batch_size: int, part: tf.distribute.InputContext) -> Divide:
    """Returns a function that divides batches into a piece per replica.

    It takes the columns of consecutive batches, of which the last may be smaller, and
    returns the pieces of this worker and a count for each, stacked; see
    `TrainingExamples.training_batches`.
    """
    num_replicas = part.num_replicas_in_sync
    piece_size = -(-batch_size // num_replicas)
    per_worker = num_replicas // part.num_input_pipelines
    first = part.input_pipeline_id * per_worker

    def divide(columns: Columns) -> tuple[Columns, tf.Tensor]:
        count = tf.shape(columns["label"])[0]
        num_batches = -(-count // batch_size)

        def own(column: tf.Tensor) -> tf.Tensor:
            rest = column.shape[1:]
            batches = tf.reshape(
                _pad(column, 0, num_batches * batch_size - count),
                (-1, batch_size, *rest),
            )
            missing = num_replicas * piece_size - batch_size
            pieces = tf.reshape(
                _pad(batches, 1, missing), (-1, num_replicas, piece_size, *rest)
            )
            mine = pieces[:, first : first + per_worker]
            return tf.reshape(mine, (-1, piece_size, *rest))

        starts = tf.range(num_batches) * batch_size
        counts = tf.cast(tf.minimum(count - starts, batch_size), tf.float32)
        pieces = {name: own(column) for name, column in columns.items()}
        return pieces, tf.repeat(counts, per_worker)

    return divide


def _pad(values: tf.Tensor, axis: int, number: Any) -> tf.Tensor:
    """Appends zeros to an axis."""
    paddings = [[0, number if n == axis else 0] for n in range(len(values.shape))]
    return tf.pad(values, paddings)
