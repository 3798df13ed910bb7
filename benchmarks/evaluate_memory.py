"""Measures whether the memory of `evaluate` grows with the number of folds.

    python -m benchmarks.evaluate_memory

Evaluates a small synthetic world without media (--users with different propensities,
captions of 384 numbers, seed 0) in folds of `random_pair`: deepChallenger with and
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
from typing import TYPE_CHECKING

from absl import app, flags

from benchmarks.synthetic_study import make_experiment
from tfrecords.memory import keep_freed_memory

if TYPE_CHECKING:
    from dc_keras.evaluation.experiment import Experiment

_FOLDS = flags.DEFINE_integer("folds", 40, "Number of folds to fit.", lower_bound=2)
_USERS = flags.DEFINE_integer(
    "users", 60, "Number of users of the world.", lower_bound=20
)

_FULL, _LOOKS, _MOST = 40, (4, 10, 20, 40), 1.10


def main(_: list[str]) -> None:
    """Prints the table and checks the ratio."""
    keep_freed_memory()
    experiment = make_experiment(_USERS.value)
    looks = sorted({min(look, _FOLDS.value) for look in _LOOKS})
    print("| folds | MiB | CPU seconds of a fold |\n|---|---|---|")
    held, seconds = [], []
    with tempfile.TemporaryDirectory() as directory:
        for fold in range(1, looks[-1] + 1):
            seconds.append(_run_fold(experiment, fold, Path(directory) / str(fold)))
            if fold in looks:
                held.append(resident_mebibytes())
                median = statistics.median(seconds)
                print(f"| {fold} | {held[-1]:,.0f} | {median:.2f} |", flush=True)
    ratio = held[-1] / held[0]
    print(f"{ratio:.3f} × the memory after {looks[0]} folds; at most {_MOST} after 40")
    if _FOLDS.value >= _FULL and ratio > _MOST:
        sys.exit(1)


def resident_mebibytes() -> float:
    """Returns the resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmRSS; this benchmark is for Linux")


def _run_fold(experiment: Experiment, seed: int, directory: Path) -> float:
    """Fits and evaluates one fold; returns its CPU seconds."""
    from dc_keras.evaluation.fold_runner import run_experiment

    start = time.process_time()
    training = replace(experiment.training, seed=seed)
    one = replace(experiment, training=training)
    run_experiment(one, ["random_pair"], 1, directory, lambda _: None)
    return time.process_time() - start


if __name__ == "__main__":
    app.run(main)
