"""Measures how much keeping freed memory speeds up TensorFlow on CPUs.

    python -m benchmarks.allocation

`tfrecords.memory.keep_freed_memory` affects a whole process, so that each turn runs in
two separate processes, with and without it. Measures, with random weights and synthetic
input, seed 0: a training step of the default preset's user proxy with the sizes of the
paper (512 videos of 50 frames, 2,048 wide, and captions of 768; 1,303 users), and an
inference of ResNet50 on 16 images of 224 pixels. Prints medians of interleaved turns,
their ratio, the number of page faults (4 KiB) per step, and the peak memory.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from benchmarks.turns import run_alone
from tfrecords.memory import keep_freed_memory

_TURNS, _STEPS = 3, 6
_VIDEOS, _FRAMES, _FRAME_DIM, _CAPTION_DIM, _USERS = 512, 50, 2048, 768, 1303
_PARTS = ("user proxy", "ResNet50")
_ALONE = """
import sys
from benchmarks.allocation import measure
measure(*sys.argv[1:])
"""


def main() -> None:
    """Prints the table."""
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{datetime.now(UTC):%Y-%m-%d}; medians of {_TURNS} turns of {_STEPS} steps"
    )
    print("| | usual, s | kept, s | usual / kept | page faults | peak MiB |")
    print("|---|---|---|---|---|---|")
    for part in _PARTS:
        turns: dict[str, list[list[float]]] = {"usual": [], "kept": []}
        for _ in range(_TURNS):
            for way, costs in turns.items():
                costs.append(run_alone(_ALONE, part, way))
        usual, kept = (
            [statistics.median(column) for column in zip(*costs, strict=True)]
            for costs in turns.values()
        )
        print(
            f"| {part} | {usual[0]:.3f} | {kept[0]:.3f} | {usual[0] / kept[0]:.2f} | "
            f"{usual[1]:,.0f} → {kept[1]:,.0f} | {usual[2]:,.0f} → {kept[2]:,.0f} |",
            flush=True,
        )


def measure(part: str, way: str) -> None:
    """Prints seconds and page faults per step, and the peak MiB of this process."""
    if way == "kept":
        keep_freed_memory()
    step = {"user proxy": _make_proxy_step, "ResNet50": _make_pass}[part]()
    for _ in range(2):  # compiles, and allocates the memory
        step()
    seconds, before = [], resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(_STEPS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pages = (usage.ru_minflt - before) / _STEPS
    print(statistics.median(seconds), pages, usage.ru_maxrss / 1024)


def _make_proxy_step() -> Callable[[], object]:
    import tensorflow as tf

    from dc_keras.models.proxy import UserProxy
    from dc_keras.options import TrainingOptions
    from dc_keras.training.dataset import Examples
    from dc_keras.training.objectives import classification
    from dc_keras.training.steps import make_optimizer, training_steps

    rng = np.random.default_rng(0)
    frames = rng.standard_normal((_VIDEOS, _FRAMES, _FRAME_DIM), np.float32)
    captions = rng.standard_normal((_VIDEOS, _CAPTION_DIM), np.float32)
    tables = {
        "frames": tf.convert_to_tensor(frames.astype(np.float16)),
        "frame_mask": tf.ones((_VIDEOS, _FRAMES), bool),
        "caption": tf.convert_to_tensor(captions),
    }
    rows = np.arange(_VIDEOS, dtype=np.int32)
    labels = rng.integers(0, _USERS, _VIDEOS).astype(np.int32)
    weights = np.ones(_VIDEOS, np.float32)
    examples = Examples(tables, dict.fromkeys(tables, rows), labels, weights)
    options = TrainingOptions()
    model = UserProxy(_USERS, _FRAMES, _FRAME_DIM, _CAPTION_DIM)
    optimizer = make_optimizer(options, tf.distribute.get_strategy(), _STEPS)
    model.compile(optimizer, auto_scale_loss=False)
    model.optimizer.build(model.trainable_variables)
    batches = iter(examples.training_batches(options.batch_size, 0, 0))
    steps = training_steps(model, classification().loss, options, batches)
    return lambda: steps(1).numpy()


def _make_pass() -> Callable[[], object]:
    import keras
    import tensorflow as tf

    network = keras.applications.ResNet50(
        weights=None, include_top=False, pooling="avg"
    )
    run = tf.function(lambda images: network(images, training=False))
    images = tf.random.stateless_uniform((16, 224, 224, 3), (0, 0))
    return lambda: run(images).numpy()


if __name__ == "__main__":
    main()
