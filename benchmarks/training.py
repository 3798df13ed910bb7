"""Measures an epoch of the challenge proxy on cached features, beside Keras's own fit.

    python -m benchmarks.training

1,000 made-up videos of 50 × 512 frame embeddings (VGG16 `avg` is 512 wide) and captions
of 384, 10 challenges, the default preset's model. Prints the seconds of an epoch of our
loop, of `keras.Model.fit` on the same model and the same arrays, and their ratio, for
every way to pool frames. An epoch is the median of those after the first, which
compiles. Below 1 our loop is the faster one.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import keras
import numpy as np
import tensorflow as tf

from dc_keras import __version__
from dc_keras.models.config import POOLINGS, ModelOptions, TrainingOptions
from dc_keras.models.proxy import build_proxy
from dc_keras.training.data import FeatureTable, VisionFeatures
from dc_keras.training.loop import fit
from dc_keras.training.objectives import classification
from dc_keras.training.proxies import ProxyTask, Variant, proxy_examples, video_inputs

_NUM_VIDEOS, _NUM_FRAMES, _FRAME_DIM, _CAPTION_DIM = 1_000, 50, 512, 384
_NUM_CHALLENGES = 10
_EPOCHS = 6
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


def make_table() -> FeatureTable:
    """Returns noise in the shape of cached features, seed 0."""
    rng = np.random.default_rng(0)
    shape = (_NUM_VIDEOS, _NUM_FRAMES, _FRAME_DIM)
    frames = rng.standard_normal(shape, np.float32).astype(np.float16)
    vision = VisionFeatures(frames, np.ones(shape[:2], bool), spec={})
    captions = rng.standard_normal((_NUM_VIDEOS, _CAPTION_DIM), np.float32)
    names = tuple(str(number) for number in range(_NUM_VIDEOS))
    return FeatureTable(names, {"VGG16": vision}, captions, caption_spec={})


def epoch_seconds(pooling: str, table: FeatureTable) -> tuple[float, float]:
    """Returns the seconds of an epoch: ours, then Keras's."""
    rows = np.arange(_NUM_VIDEOS, dtype=np.int32)
    task = ProxyTask("challenge", rows, rows % _NUM_CHALLENGES, ("",) * _NUM_CHALLENGES)
    examples = proxy_examples(task, table, _VARIANT)
    options = TrainingOptions(epochs=_EPOCHS, patience=0)

    def build() -> keras.Model:
        shape = ModelOptions(frame_pooling=pooling)
        return build_proxy(
            video_inputs(table, _VARIANT), _NUM_CHALLENGES, shape, "proxy"
        )

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

    return _median_epoch(ours), _median_epoch(theirs)


def _median_epoch(train: Callable[[_Clock], None]) -> float:
    clock = _Clock()
    train(clock)
    return statistics.median(clock.seconds[1:])


def main() -> None:
    """Prints the table."""
    print(
        f"dc_keras {__version__}, TensorFlow {tf.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{datetime.now(UTC):%Y-%m-%d}; {_NUM_VIDEOS} videos of {_NUM_FRAMES} × "
        f"{_FRAME_DIM}, seed 0, batches of {TrainingOptions().batch_size}, median of "
        f"{_EPOCHS - 1} epochs\n"
    )
    print(f"{'frame pooling':<16}{'ours, s':>9}{'Keras fit, s':>14}{'ratio':>8}")
    table = make_table()
    for pooling in POOLINGS:
        ours, theirs = epoch_seconds(pooling, table)
        print(f"{pooling:<16}{ours:>9.3f}{theirs:>14.3f}{ours / theirs:>8.2f}")


if __name__ == "__main__":
    main()
