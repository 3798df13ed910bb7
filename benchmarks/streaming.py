"""Measures throughput and memory of a training for ten times the pairs.

    python -m benchmarks.streaming --context=none

Trains deepChallenger for two epochs on all pairs of a synthetic world without media:
--users, with --challenges and with --times as many, seed 0. Each training is a process
of its own, with all pairs in memory and with --shuffle_buffer. Prints the pairs that
the fusion of videos learns from in a second of CPU (second epoch), the CPU seconds of
the whole training, its peak memory, and the ratio of the peaks. Without --context=none,
trees and combination are fitted too, on at most 131,072 pairs.
"""

from __future__ import annotations

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.worlds import random_grid, random_posts
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from tfrecords.unit_runs import use_one_thread

_USERS = flags.DEFINE_integer("users", 2000, "Number of users.", lower_bound=40)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 50, "Number of challenges of the smaller world.", lower_bound=4
)
_TIMES = flags.DEFINE_integer("times", 10, "Size of the larger world.", lower_bound=2)
_BUFFERS = flags.DEFINE_multi_integer(
    "shuffle_buffer", [0, 65_536], "Pairs that are shuffled together; 0 for all."
)
_CONTEXT = flags.DEFINE_string("context", "all", "As --context of train.")

_HISTORY, _SUPPORT, _CAPTION_DIM = 4, 4, 64
_FUSION = "fusion of videos: epoch"
_EPOCHS = 2


def main(_: list[str]) -> None:
    """Prints the table and the ratios."""
    print(
        "| buffer | pairs | pairs a second | CPU seconds | MiB |\n|---|---|---|---|---|"
    )
    for buffer in _BUFFERS.value:
        peaks = []
        for times in (1, _TIMES.value):
            sizes = (_USERS.value, times * _CHALLENGES.value)
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                done = pool.submit(train, *sizes, buffer, _CONTEXT.value)
                pace, seconds, peak = done.result()
            peaks.append(peak)
            print(
                f"| {buffer or 'all'} | {sizes[0] * sizes[1]:,} | {pace:,.0f} | "
                f"{seconds:.1f} | {peak:,.0f} |",
                flush=True,
            )
        print(f"{peaks[1] / peaks[0]:.2f} × the memory for {_TIMES.value} × the pairs")


def train(
    num_users: int, num_challenges: int, buffer: int, context: str
) -> tuple[float, float, float]:
    """Trains on a world; returns pairs a second, CPU seconds and peak MiB."""
    from dc_keras.context.post_features import read_facts
    from dc_keras.features import Features
    from dc_keras.training.fold import FoldData
    from dc_keras.training.recipe import Recipe
    from dc_keras.training.train_model import TrainingRun, train_participation

    use_one_thread()
    rng = np.random.default_rng(0)
    num_videos = _SUPPORT * num_challenges
    grid = random_grid(rng, num_users, num_videos, num_challenges, _HISTORY)
    videos = tuple(sorted(grid.video_users))
    captions = rng.standard_normal((len(videos), _CAPTION_DIM), np.float32)
    ends: list[float] = []

    def note(line: str) -> None:
        if line.startswith(_FUSION):
            ends.append(time.process_time())

    start = time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        training = TrainingOptions(
            epochs=_EPOCHS, epoch_steps=1, patience=0, shuffle_buffer=buffer
        )
        data = FoldData.without_test(
            grid,
            Features(videos, {}, captions, {"fingerprint": "made up"}),
            read_facts(random_posts(rng, grid), grid),
            training.validation_fraction,
            training.seed,
        )
        run = TrainingRun(
            data,
            Recipe.of(ModelOptions(), training, ContextOptions(context)),
            ProtocolOptions(negatives="all"),
            Path(directory) / "model",
            progress=note,
        )
        train_participation(run)
    num_pairs = (1 - TrainingOptions.validation_fraction) * num_users * num_challenges
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return num_pairs / (ends[1] - ends[0]), time.process_time() - start, peak


if __name__ == "__main__":
    app.run(main)
