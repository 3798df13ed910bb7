"""Measures training on cached features: epochs, input, records, steps at once.

    python -m benchmarks.training

1,000 made-up videos of 50 × 512 frame embeddings (VGG16 `avg` is 512 wide) and captions
of 384, 10 challenges, the default preset's model. Prints the seconds of an epoch of our
loop, of `keras.Model.fit` on the same model and the same arrays, and their ratio, for
every way to pool frames. The two take turns, three fits each; an epoch is the median
of those after a fit's first, which compiles. Below 1 our loop is the faster one.

A second table has, of the default model: the share of its time that a step waits for
the next batch, which is made while the last one is learned from; the ratio of an epoch
on features parsed from a TFRecord file, in batches of 64, to one on features in memory;
and that of an epoch in batches of 4, one step at a time, to one of twenty at a time.
Ratios are of medians of interleaved epochs. The last line is the size of a record.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.turns import interleaved
from dc_keras import __version__
from dc_keras.features import Features, VisionFeatures
from dc_keras.models.proxy import ChallengeProxy
from dc_keras.options import POOLINGS, TrainingOptions
from dc_keras.training.dataset import Examples
from dc_keras.training.loop import fit
from dc_keras.training.objectives import classification
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    proxy_examples,
    video_sizes,
)
from dc_keras.training.steps import make_optimizer, training_steps
from tfrecords.memory import keep_freed_memory
from tfrecords.schema import FeatureRecord, build_feature_record
from tfrecords.tensors import parse_feature_tensors

_NUM_VIDEOS, _NUM_FRAMES, _FRAME_DIM, _CAPTION_DIM = 1_000, 50, 512, 384
_NUM_CHALLENGES = 10
_EPOCHS = 6
_TURNS = 3
_VARIANT = Variant("VGG16", use_text=True)


class _Clock(keras.callbacks.Callback):
    """Notes the seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)


def make_table() -> Features:
    """Returns noise in the shape of cached features, seed 0."""
    rng = np.random.default_rng(0)
    shape = (_NUM_VIDEOS, _NUM_FRAMES, _FRAME_DIM)
    frames = rng.standard_normal(shape, np.float32).astype(np.float16)
    vision = VisionFeatures(frames, np.ones(shape[:2], bool), spec={})
    captions = rng.standard_normal((_NUM_VIDEOS, _CAPTION_DIM), np.float32)
    names = tuple(str(number) for number in range(_NUM_VIDEOS))
    return Features(names, {"VGG16": vision}, captions, caption_spec={})


def epoch_seconds(pooling: str, table: Features) -> tuple[float, float]:
    """Returns the seconds of an epoch: ours, then Keras's."""
    rows = np.arange(_NUM_VIDEOS, dtype=np.int32)
    task = ProxyTask("challenge", rows, rows % _NUM_CHALLENGES, ("",) * _NUM_CHALLENGES)
    examples = proxy_examples(task, table, _VARIANT)
    options = TrainingOptions(epochs=_EPOCHS, epoch_steps=1, patience=0)

    def build() -> keras.Model:
        sizes = video_sizes(table, _VARIANT)
        return ChallengeProxy(_NUM_CHALLENGES, **sizes, frame_pooling=pooling)

    def ours(clock: _Clock) -> None:
        nothing = examples.take(rows[:0])
        fit(build, examples, nothing, classification(), options, [clock])

    def theirs(clock: _Clock) -> None:
        model = build()
        optimizer = keras.optimizers.Adam(options.learning_rate)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        frames = tf.cast(table.vision["VGG16"].frames, tf.float32)
        inputs = {
            "frames": frames,
            "frame_mask": table.vision["VGG16"].mask,
            "caption": table.captions,
        }
        model.fit(
            {name: inputs[name] for name in examples.tables},
            task.labels,
            batch_size=options.batch_size,
            epochs=_EPOCHS,
            verbose=0,
            callbacks=[clock],
        )

    seconds: dict[Callable[[_Clock], None], list[float]] = {ours: [], theirs: []}
    for _ in range(_TURNS):
        for train, epochs in seconds.items():
            clock = _Clock()
            train(clock)
            epochs.extend(clock.seconds[1:])
    return statistics.median(seconds[ours]), statistics.median(seconds[theirs])


_Epoch = Callable[[], None]


def _compile(
    table: Features, options: TrainingOptions, batches: tf.data.Dataset
) -> Callable[[int], Any]:
    """Compiles the steps of a new model over batches of `Examples.training_batches`."""
    model = ChallengeProxy(_NUM_CHALLENGES, **video_sizes(table, _VARIANT))
    num_steps = -(-_NUM_VIDEOS // options.batch_size)
    optimizer = make_optimizer(options, tf.distribute.get_strategy(), num_steps)
    model.compile(optimizer, auto_scale_loss=False)
    model.optimizer.build(model.trainable_variables)
    return training_steps(model, classification().loss, options, iter(batches))


def _make_step(table: Features, examples: Examples) -> _Epoch:
    """One step on a batch that is always there."""
    options = TrainingOptions()
    ready = examples.training_batches(options.batch_size, 0, 0).take(1)
    steps = _compile(table, options, ready.cache().repeat())
    return lambda: steps(1).numpy()


def _make_epoch(
    table: Features, options: TrainingOptions, batches: tf.data.Dataset
) -> _Epoch:
    steps = _compile(table, options, batches)
    num_steps = -(-_NUM_VIDEOS // options.batch_size)

    def epoch() -> None:
        total = 0.0
        for first in range(0, num_steps, options.steps_per_execution):
            total += steps(min(options.steps_per_execution, num_steps - first))
        float(total)

    return epoch


def _write_records(table: Features, path: Path) -> int:
    """Writes the features as a shard; returns the bytes of one without its caption."""
    vision, captions = table.vision["VGG16"], np.asarray(table.captions)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row, video in enumerate(table.video_ids):
            frames, mask = vision.frames[row], vision.mask[row]
            record = FeatureRecord(video, "u", frames, mask, captions[row])
            writer.write(build_feature_record(record))
    return len(build_feature_record(replace(record, caption=None)))


def _from_records(path: Path, batch_size: int) -> tf.data.Dataset:
    """The features as the same batches, parsed from the shard in every epoch."""

    def batch(number: tf.Tensor, records: tf.Tensor) -> tuple[Any, ...]:
        parsed = tf.map_fn(
            parse_feature_tensors,
            records,
            fn_output_signature={
                "video/id": tf.string,
                "user/id": tf.string,
                "schema/version": tf.int64,
                "frames/embedding": tf.TensorSpec([_NUM_FRAMES, _FRAME_DIM], tf.half),
                "frames/mask": tf.TensorSpec([_NUM_FRAMES], tf.bool),
                "caption/embedding": tf.TensorSpec([_CAPTION_DIM], tf.float32),
            },
        )
        inputs = {
            "frames": tf.cast(parsed["frames/embedding"], tf.float32),
            "frame_mask": parsed["frames/mask"],
            "caption": parsed["caption/embedding"],
        }
        labels = tf.cast(number, tf.int32) % _NUM_CHALLENGES
        labels = tf.repeat(labels, batch_size)
        return inputs, labels, tf.ones(batch_size), tf.constant(float(batch_size))

    records = tf.data.TFRecordDataset(str(path)).repeat().shuffle(_NUM_VIDEOS // 4)
    batches = records.batch(batch_size, drop_remainder=True).enumerate()
    return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _waiting_share(examples: Examples, step: _Epoch, rounds: int = 60) -> float:
    """Returns the median share of time that a step waits for its batch."""
    batches = iter(examples.training_batches(TrainingOptions().batch_size, 0, 0))
    shares = []
    for _ in range(rounds):
        start = time.perf_counter()
        next(batches)
        there = time.perf_counter()
        step()
        shares.append((there - start) / (time.perf_counter() - start))
    # The first rounds compile, and fill the buffers.
    return statistics.median(shares[10:])


def part_ratios(table: Features, directory: Path) -> list[tuple[str, float, str]]:
    """Returns (what, ratio, aim) a line of the second table."""
    rows = np.arange(_NUM_VIDEOS, dtype=np.int32)
    task = ProxyTask("challenge", rows, rows % _NUM_CHALLENGES, ("",) * _NUM_CHALLENGES)
    examples = proxy_examples(task, table, _VARIANT)
    size = _write_records(table, directory / "features")

    def epoch(
        batch_size: int, batches: tf.data.Dataset | None = None, **changes: Any
    ) -> _Epoch:
        options = TrainingOptions(batch_size=batch_size, epoch_steps=1, **changes)
        batches = batches or examples.training_batches(batch_size, 0, 0)
        return _make_epoch(table, options, batches)

    many, few = 64, 4
    waiting = _waiting_share(examples, _make_step(table, examples))
    records = _from_records(directory / "features", many)
    memory, parsed, one, twenty = interleaved(
        epoch(many),
        epoch(many, records),
        epoch(few),
        epoch(few, steps_per_execution=20),
        num_rounds=7,
    )
    return [
        ("share of time that a step waits for input", waiting, "< 0.05"),
        ("batch 64, records : memory", parsed / memory, "≤ 2"),
        ("batch 4, one step at a time : twenty", one / twenty, "≥ 1.5"),
        (f"bytes of a record of {_NUM_FRAMES} × {_FRAME_DIM}", size, "≤ 55,000"),
    ]


def main() -> None:
    """Prints the tables."""
    keep_freed_memory()
    print(
        f"dc_keras {__version__}, TensorFlow {tf.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{datetime.now(UTC):%Y-%m-%d}; {_NUM_VIDEOS} videos of {_NUM_FRAMES} × "
        f"{_FRAME_DIM}, seed 0, batches of {TrainingOptions().batch_size}, median of "
        f"{_TURNS} × {_EPOCHS - 1} epochs\n"
    )
    print(f"{'frame pooling':<16}{'ours, s':>9}{'Keras fit, s':>14}{'ratio':>8}")
    table = make_table()
    for pooling in POOLINGS:
        ours, theirs = epoch_seconds(pooling, table)
        print(f"{pooling:<16}{ours:>9.3f}{theirs:>14.3f}{ours / theirs:>8.2f}")
    print(f"\n{'part':<44}{'measured':>10}  aim")
    with tempfile.TemporaryDirectory() as directory:
        for what, measured, aim in part_ratios(table, Path(directory)):
            print(f"{what:<44}{measured:>10,.5g}  {aim}")


if __name__ == "__main__":
    main()
