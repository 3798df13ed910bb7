"""Measures whether the memory of `evaluate` grows with the number of folds.

    python -m benchmarks.evaluate_memory

Evaluates a small simulated world without media (--users, captions of 384 random
numbers, seed 0) in folds of `random_pair`: deepChallenger with and
without context, the paper's baselines and the simple baselines. Prints the resident
memory of the process after 4, 10, 20 and 40 folds, the median CPU seconds per fold, and
the ratio of the last memory to the first. Exits with 1 if the ratio is above 1.10 after
at least 40 folds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.turns import own_memory
from benchmarks.worlds import import_world
from dc_keras.context.post_features import read_facts
from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.fold_runner import run_experiment
from dc_keras.features import Features
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.simulation.world import WorldConfig, simulate_world
from tfrecords.unit_runs import use_one_thread

_FOLDS = flags.DEFINE_integer("folds", 40, "Number of folds to fit.", lower_bound=2)
_USERS = flags.DEFINE_integer(
    "users", 60, "Number of users of the world.", lower_bound=20
)

_FULL, _LOOKS, _MOST = 40, (4, 10, 20, 40), 1.10
_NUM_CHALLENGES, _CAPTION_DIM = 6, 384
_MODELS = ("deepChallenger", "videos_only", "paper", "simple")


def main(_: list[str]) -> None:
    """Prints the table and checks the ratio."""
    use_one_thread()
    experiment = make_experiment(_USERS.value)
    looks = sorted({min(look, _FOLDS.value) for look in _LOOKS})
    print("| folds | MiB | CPU seconds of a fold |\n|---|---|---|")
    held, seconds = [], []
    with tempfile.TemporaryDirectory() as directory:
        for fold in range(1, looks[-1] + 1):
            seconds.append(_run_fold(experiment, fold, Path(directory) / str(fold)))
            if fold in looks:
                held.append(own_memory("VmRSS"))
                median = statistics.median(seconds)
                print(f"| {fold} | {held[-1]:,.0f} | {median:.2f} |", flush=True)
    ratio = held[-1] / held[0]
    print(f"{ratio:.3f} × the memory after {looks[0]} folds; at most {_MOST} after 40")
    if _FOLDS.value >= _FULL and ratio > _MOST:
        sys.exit(1)


def make_experiment(num_users: int) -> Experiment:
    """Returns an experiment on a world without media, with a short training."""
    config = WorldConfig(num_users, _NUM_CHALLENGES, text_only_share=1.0)
    with tempfile.TemporaryDirectory() as directory:
        corpus, grid = import_world(simulate_world(config), Path(directory))
    videos = tuple(sorted(grid.video_users))
    shape = (len(videos), _CAPTION_DIM)
    captions = np.random.default_rng(0).standard_normal(shape, np.float32)
    return Experiment(
        grid=grid,
        table=Features(videos, {}, captions, {"fingerprint": "made up"}),
        facts=read_facts(corpus.videos, grid),
        training=TrainingOptions(epochs=3, epoch_steps=5),
        protocol=ProtocolOptions(num_folds=1),
        models=_MODELS,
    )


def _run_fold(experiment: Experiment, seed: int, directory: Path) -> float:
    """Fits and evaluates one fold; returns its CPU seconds."""
    start = time.process_time()
    training = replace(experiment.training, seed=seed)
    one = replace(experiment, training=training)
    run_experiment(one, ["random_pair"], 1, directory, lambda _: None)
    return time.process_time() - start


if __name__ == "__main__":
    app.run(main)
