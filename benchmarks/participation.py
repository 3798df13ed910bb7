"""Evaluates models and baselines on the real benchmark: which user joins which sound.

    python -m benchmarks.participation --data=../shared/data/famous \
        --output=/tmp/participation

Prints Table II for each split that the README of the data defines (`famous.py`), with
intervals. There are no media, and captions contain only hashtags, so that only the text
side is evaluated. The same command resumes an interrupted run at the fold where it
stopped. The paper preset needs `--models=deepChallenger_paper`: its concatenated
vectors are 10,240 wide, and a fold takes minutes.
"""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from absl import app, flags

from benchmarks.famous import Famous
from benchmarks.famous_captions import define_flags, make_experiment
from dc_keras.evaluation.fold_runner import run_manifests
from dc_keras.evaluation.result_tables import DEEP_CHALLENGER
from dc_keras.evaluation.results import SplitResult, judge_split, participation_table
from dc_keras.evaluation.simple_baselines import STACK
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from pipelines._cli import option_flags
from tfrecords.unit_runs import use_one_thread

_DATA, _OUTPUT = define_flags()
_SPLIT = flags.DEFINE_multi_enum(
    "split",
    ["cold_user", "random_pair", "cold_challenge", "temporal"],
    ["cold_user", "random_pair", "cold_challenge", "cold_both", "temporal"],
    "Splits; repeatable.",
)
_MODELS = flags.DEFINE_multi_string(
    "models",
    ["deepChallenger", "videos_only", "paper", "simple"],
    "Models, as --models of evaluate; repeatable.",
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds per fold.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Number of processes.", lower_bound=1)
option_flags.define(ModelOptions, TrainingOptions, ProtocolOptions, ContextOptions)

README_STACK = {
    "cold_user": 0.099,
    "random_pair": 0.135,
    "cold_challenge": 0.111,
    "temporal": 0.037,
}


def main(_: list[str]) -> None:
    """Runs the benchmark and prints its tables."""
    use_one_thread()
    start = time.monotonic()
    famous = Famous(Path(_DATA.value))
    output = Path(_OUTPUT.value)
    experiment = make_experiment(
        famous,
        output,
        tell,
        model=option_flags.resolve(ModelOptions),
        training=option_flags.resolve(TrainingOptions),
        protocol=option_flags.resolve(ProtocolOptions),
        context=option_flags.resolve(ContextOptions),
        models=tuple(_MODELS.value),
    )
    manifests = famous.manifests(_SPLIT.value, _SEEDS.value)
    run_manifests(experiment, manifests, output / "run", tell, _WORKERS.value)
    for split in _SPLIT.value:
        judgement = judge_split(output / "run", split)
        print(participation_table(judgement, "famous").to_console())
        print(*above_the_stack(judgement), "", sep="\n")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {_SEEDS.value} seeds, "
        f"{time.monotonic() - start:.0f} s"
    )


def above_the_stack(judgement: SplitResult) -> list[str]:
    """Returns lines that compare deepChallenger with our stack and the README's."""
    if not {STACK, DEEP_CHALLENGER} <= set(judgement.models):
        return []
    value, interval = judgement.difference(DEEP_CHALLENGER, STACK).cells()
    published = README_STACK.get(judgement.predictions.split)
    reached = judgement.average_precision(DEEP_CHALLENGER)
    return [
        f"{DEEP_CHALLENGER} above the {STACK}: {value:+.3f} {interval}",
        *([f"README's stack {published:.3f}, here {reached:.3f}"] if published else []),
    ]


def tell(line: str) -> None:
    """Prints a line of progress with the time."""
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    app.run(main)
