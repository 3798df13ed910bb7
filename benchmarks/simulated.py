"""Compares deepChallenger with the Bayes-optimal predictor on a simulated world.

    python -m benchmarks.simulated --output=/tmp/simulated

Simulates a world of --users and --challenges with videos, and imports, embeds and
evaluates it with the scripts of the project. The people are synthetic. The
Bayes-optimal predictor ranks by the true probabilities. Prints the ratio of the average
precision of deepChallenger to that of this predictor, with an interval from draws over
users. Results that are complete in --output are reused.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from absl import app, flags

from benchmarks.famous_captions import minilm_handle
from dc_keras.evaluation.result_tables import BAYES, DEEP_CHALLENGER
from dc_keras.evaluation.results import judge_split, participation_table
from pipelines._cli.demo_steps import parse_steps

_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_USERS = flags.DEFINE_integer("users", 500, "Number of users.", lower_bound=40)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 20, "Number of challenges.", lower_bound=2
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the world.", lower_bound=0)
_SEEDS = flags.DEFINE_integer("seeds", 1, "Number of seeds per fold.", lower_bound=1)
_SPLIT = flags.DEFINE_multi_string("split", ["cold_user", "cold_challenge"], "Splits.")

_STEPS = """
simulate -> world: simulate
    --output={work}/world --users={users} --challenges={challenges} --seed={seed}
import_corpus -> corpus: import
    --input={work}/world/items.ndjson --media_root={work}/world/media
    --corpus={work}/corpus --key_file={work}/pseudonym.key
write_tfrecords -> frames: sample frames
    --corpus={work}/corpus --output={work}/frames --num_frames=3 --image_size=96
extract_features -> features: embed
    --records={work}/frames --output={work}/features --vision=EfficientNetLite0
    --text={minilm} --text_pooling=mean --study={work}/world/study.toml
evaluate -> evaluation: evaluate
    --corpus={work}/corpus --study={work}/world/study.toml --features={work}/features
    {splits} --models=deepChallenger --models=without_frames --models=simple
    --seeds={seeds} --workers=2 --truth={work}/world/truth.json
    --key_file={work}/pseudonym.key --output={work}/evaluation
"""


def main(_: list[str]) -> None:
    """Simulates and evaluates the world, and prints the ratios."""
    start = time.monotonic()
    work = Path(_OUTPUT.value)
    steps = parse_steps(
        _STEPS,
        work,
        users=_USERS.value,
        challenges=_CHALLENGES.value,
        seed=_SEED.value,
        seeds=_SEEDS.value,
        minilm=minilm_handle(),
        splits=[f"--split={split}" for split in _SPLIT.value],
    )
    for step in steps:
        print(f"{datetime.now(UTC):%H:%M:%S} {step.what}", flush=True)
        command = [sys.executable, "-m", f"pipelines.{step.command}", *step.arguments]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    for split in _SPLIT.value:
        _print_shares(work / "evaluation", split)
    print(
        f"world of {_USERS.value} users and {_CHALLENGES.value} challenges, seed "
        f"{_SEED.value}, {_SEEDS.value} seeds of each fold, "
        f"{time.monotonic() - start:.0f} s"
    )


def _print_shares(run: Path, split: str) -> None:
    """Prints Table II, and the ratio of deepChallenger's AP to the Bayes-optimal AP."""
    judgement = judge_split(run, split)
    print(participation_table(judgement, "simulated").to_console())
    ours, best = (judgement.draws[model] for model in (DEEP_CHALLENGER, BAYES))
    low, high = np.nanpercentile(ours / best, [2.5, 97.5])
    print(f"{split}: [{low:.2f} {high:.2f}] of the Bayes-optimal AP, 95 % of users\n")


if __name__ == "__main__":
    app.run(main)
