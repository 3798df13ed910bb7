"""Judges every model and baseline on real data: who joins which sound?

    python -m benchmarks.participation --data=../shared/data/famous \
        --output=/tmp/participation

Prints Table II for each split of the benchmark that the data's README defines
(`famous.py`), with intervals. There is no media, and captions are tags alone: what is
judged is the text side. A stopped run goes on at the fold where it was. The paper
preset is left out unless asked for (`--models=deepChallenger_paper`): its joined
vectors are 10,240 wide, and a fold of it takes minutes.
"""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from absl import app, flags

from benchmarks.famous import Famous
from benchmarks.famous_captions import read_features
from tfrecords.memory import keep_freed_memory
from dc_keras.models.config import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from pipelines._cli import options

if TYPE_CHECKING:
    from dc_keras.evaluation.results import Judgement

_DATA = flags.DEFINE_string(
    "data", "../shared/data/famous", "Directory of datares/TikTok_Famous."
)
_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_SPLIT = flags.DEFINE_multi_enum(
    "split",
    ["cold_user", "random_pair", "cold_challenge", "temporal"],
    ["cold_user", "random_pair", "cold_challenge", "cold_both", "temporal"],
    "Splits; repeatable.",
)
_MODELS = flags.DEFINE_multi_string(
    "models",
    ["deepChallenger", "videos_only", "paper", "simple"],
    "Rows, as --models of evaluate; repeatable.",
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds of each fold.", lower_bound=1)
_WORKERS = flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=1)
options.define(ModelOptions, TrainingOptions, ProtocolOptions, ContextOptions)

README_STACK = {
    "cold_user": 0.099,
    "random_pair": 0.135,
    "cold_challenge": 0.111,
    "temporal": 0.037,
}


def main(_: list[str]) -> None:
    """Runs the benchmark and prints its tables."""
    from dc_keras.context.post_features import read_facts
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.results import judge_split, participation_table
    from dc_keras.evaluation.fold_runner import run_manifests

    keep_freed_memory()
    start = time.monotonic()
    famous = Famous(Path(_DATA.value))
    output = Path(_OUTPUT.value)
    experiment = Experiment(
        grid=famous.grid,
        table=read_features(famous, output, tell),
        facts=read_facts(
            famous.videos,
            famous.grid,
            famous.temporal,
            users=famous.users,
            joins=famous.joins,
        ),
        model=options.resolve(ModelOptions),
        training=options.resolve(TrainingOptions),
        protocol=options.resolve(ProtocolOptions),
        context=options.resolve(ContextOptions),
        temporal=famous.temporal,
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


def above_the_stack(judgement: Judgement) -> list[str]:
    """Says how far deepChallenger lies above our logistic stack, and the README's."""
    from dc_keras.evaluation.simple_baselines import STACK
    from dc_keras.evaluation.result_tables import DEEP_CHALLENGER

    if not {STACK, DEEP_CHALLENGER} <= set(judgement.models):
        return []
    value, interval = judgement.difference(DEEP_CHALLENGER, STACK).cells()
    asked = README_STACK.get(judgement.predictions.split)
    reached = judgement.average_precision(DEEP_CHALLENGER)
    return [
        f"{DEEP_CHALLENGER} above the {STACK}: {value:+.3f} {interval}",
        *([f"README's stack {asked:.3f}, here {reached:.3f}"] if asked else []),
    ]


def tell(line: str) -> None:
    """Says what is about to be fitted."""
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    app.run(main)
