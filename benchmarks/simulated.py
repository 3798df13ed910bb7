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

from benchmarks.minilm import minilm_handle
from dc_keras.evaluation.result_tables import BAYES, DEEP_CHALLENGER
from dc_keras.evaluation.results import judge_split, participation_table

_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_USERS = flags.DEFINE_integer("users", 500, "Number of users.", lower_bound=40)
_CHALLENGES = flags.DEFINE_integer(
    "challenges", 20, "Number of challenges.", lower_bound=2
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the world.", lower_bound=0)
_SEEDS = flags.DEFINE_integer("seeds", 1, "Number of seeds per fold.", lower_bound=1)
_SPLIT = flags.DEFINE_multi_string("split", ["cold_user", "cold_challenge"], "Splits.")


def main(_: list[str]) -> None:
    """Simulates and evaluates the world, and prints the ratios."""
    start = time.monotonic()
    work = Path(_OUTPUT.value)
    for name, *arguments in _steps(work):
        print(f"{datetime.now(UTC):%H:%M:%S} {name}", flush=True)
        command = [sys.executable, "-m", f"pipelines.{name}", *arguments]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    for split in _SPLIT.value:
        _print_shares(work / "evaluation", split)
    print(
        f"world of {_USERS.value} users and {_CHALLENGES.value} challenges, seed "
        f"{_SEED.value}, {_SEEDS.value} seeds of each fold, "
        f"{time.monotonic() - start:.0f} s"
    )


def _steps(work: Path) -> list[tuple[str, ...]]:
    """Returns the commands that simulate and evaluate the world."""
    study = f"--study={work}/world/study.toml"
    corpus, key = f"--corpus={work}/corpus", f"--key_file={work}/pseudonym.key"
    return [
        (
            "simulate",
            f"--output={work}/world",
            f"--users={_USERS.value}",
            f"--challenges={_CHALLENGES.value}",
            f"--seed={_SEED.value}",
        ),
        (
            "import_corpus",
            f"--input={work}/world/items.ndjson",
            f"--media_root={work}/world/media",
            corpus,
            key,
        ),
        (
            "write_tfrecords",
            corpus,
            f"--output={work}/frames",
            "--num_frames=3",
            "--image_size=96",
        ),
        (
            "extract_features",
            f"--records={work}/frames",
            f"--output={work}/features",
            "--vision=EfficientNetLite0",
            *(f"--text={minilm_handle()}", "--text_pooling=mean", study),
        ),
        (
            "evaluate",
            corpus,
            study,
            f"--features={work}/features",
            *(f"--split={split}" for split in _SPLIT.value),
            *(
                f"--models={rows}"
                for rows in ("deepChallenger", "without_frames", "simple")
            ),
            f"--seeds={_SEEDS.value}",
            "--workers=2",
            f"--truth={work}/world/truth.json",
            key,
            f"--output={work}/evaluation",
        ),
    ]


def _print_shares(run: Path, split: str) -> None:
    """Prints Table II, and the ratio of deepChallenger's AP to the Bayes-optimal AP."""
    judgement = judge_split(run, split)
    print(participation_table(judgement, "simulated").to_console())
    ours, best = (judgement.draws[model] for model in (DEEP_CHALLENGER, BAYES))
    low, high = np.nanpercentile(ours / best, [2.5, 97.5])
    print(f"{split}: [{low:.2f} {high:.2f}] of the Bayes-optimal AP, 95 % of users\n")


if __name__ == "__main__":
    app.run(main)
