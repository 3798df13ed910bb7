"""Training examples in TFRecord shards, for more examples than fit in memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.training.dataset import (
    Columns,
    Divide,
    Examples,
    TrainingExamples,
    shuffle,
)

# Number of examples in a record.
_BLOCK = 4096
# Number of shards that are shuffled together, and the largest number of shards.
_SHARDS_IN_BUFFER = 8
_MOST_SHARDS = 1024


@contextmanager
def stream(examples: Examples, buffer: int) -> Iterator[TrainingExamples]:
    """Writes examples to a temporary directory for the time of a training.

    `buffer` examples are shuffled together; 0 keeps all in memory.

    Raises:
        DataError: The temporary directory has too little space.
    """
    if buffer == 0:
        yield examples
        return
    with TemporaryDirectory(prefix="dc_keras-examples-") as directory:
        shards = write_shards(examples, Path(directory), buffer)
        del examples
        yield shards


@dataclass(frozen=True)
class ExampleShards(TrainingExamples):
    """Examples in TFRecord files.

    A pass reads the files in a random order, and shuffles `buffer` examples together.
    If there are no more, their order is that of `Examples`.

    Attributes:
        tables: see `TrainingExamples`.
        paths: the files. Each record has up to 4,096 examples.
        dtypes: data type of each column; see `Columns`.
        num_outputs: width of the weights; None for one weight per example.
        num_examples: number of examples.
        buffer: number of examples that are shuffled together.
    """

    tables: Mapping[str, Any]
    paths: Sequence[str]
    dtypes: Mapping[str, tf.DType]
    num_outputs: int | None
    num_examples: int
    buffer: int

    def __len__(self) -> int:
        return self.num_examples

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Names the cause if batches cannot be read inside the context.

        Raises:
            DataError: An operation failed, and a file is missing or has changed.
        """
        try:
            with super().reading():
                yield
        except tf.errors.OpError as error:
            is_damaged = isinstance(error, tf.errors.DataLossError)
            if not is_damaged and all(Path(path).exists() for path in self.paths):
                raise
            raise DataError(
                "another program removed or changed the training examples in "
                f"{Path(self.paths[0]).parent}; run the command again"
            ) from error

    def _passes(
        self, divide: Divide, batch_size: int
    ) -> Callable[[Any], tf.data.Dataset]:
        paths = tf.constant(self.paths)

        def pieces_of(seed: tf.Tensor) -> tf.data.Dataset:
            order = paths
            if len(self.paths) > 1:
                order = tf.random.experimental.stateless_shuffle(paths, seed=seed)
            blocks = tf.data.TFRecordDataset(order).map(
                self._parse, num_parallel_calls=1
            )

            def shuffle_window(number: tf.Tensor, columns: Columns) -> Columns:
                return shuffle(columns, seed + tf.stack([tf.cast(number, tf.int32), 0]))

            windows = blocks.rebatch(self.buffer).enumerate()
            shuffled = windows.map(shuffle_window, num_parallel_calls=1)
            batches = shuffled.rebatch(batch_size)
            return batches.map(divide, num_parallel_calls=1).unbatch()

        return pieces_of

    @tf.autograph.experimental.do_not_convert
    def _parse(self, record: tf.Tensor) -> Columns:
        fields = dict.fromkeys(self.dtypes, tf.io.FixedLenFeature((), tf.string))
        columns = {
            name: tf.io.decode_raw(value, self.dtypes[name])
            for name, value in tf.io.parse_single_example(record, fields).items()
        }
        if self.num_outputs is not None:
            columns["weight"] = tf.reshape(columns["weight"], (-1, self.num_outputs))
        return columns


def write_shards(examples: Examples, directory: Path, buffer: int) -> ExampleShards:
    """Writes examples to TFRecord files; with k files, each has every k-th one.

    Args:
        examples: the examples.
        directory: the directory of the files.
        buffer: number of examples that will be shuffled together, at least 1.

    Raises:
        DataError: The disk has too little space.
    """
    columns = {n: np.asarray(c) for n, c in examples.columns.items()}
    _require_space(directory, sum(column.nbytes for column in columns.values()))
    count, num_shards = len(examples), 1
    if count > buffer:
        wanted = -(-_SHARDS_IN_BUFFER * count // buffer)
        num_shards = min(wanted, count, _MOST_SHARDS)
    paths = [str(directory / f"examples-{n:05d}") for n in range(num_shards)]
    for number, path in enumerate(paths):
        own = {name: column[number::num_shards] for name, column in columns.items()}
        with tf.io.TFRecordWriter(path) as writer:
            for start in range(0, len(own["label"]), _BLOCK):
                block = {n: c[start : start + _BLOCK] for n, c in own.items()}
                writer.write(_record(block))
    weights = columns["weight"]
    return ExampleShards(
        examples.tables,
        paths,
        {name: tf.as_dtype(column.dtype) for name, column in columns.items()},
        weights.shape[1] if weights.ndim == 2 else None,
        count,
        buffer,
    )


def _record(columns: Mapping[str, np.ndarray]) -> bytes:
    """Returns a `tf.train.Example` with the bytes of each column, little-endian."""
    feature = {}
    for name, column in columns.items():
        little = column.astype(column.dtype.newbyteorder("<"))
        values = tf.train.BytesList(value=[little.tobytes()])
        feature[name] = tf.train.Feature(bytes_list=values)
    record = tf.train.Example(features=tf.train.Features(feature=feature))
    return bytes(record.SerializeToString())


def _require_space(directory: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < num_bytes:
        raise DataError(
            f"{directory.parent} must have {num_bytes:,} bytes free for the training "
            "examples; set TMPDIR to another directory, or --shuffle_buffer=0. "
            f"Received: {free:,}"
        )
