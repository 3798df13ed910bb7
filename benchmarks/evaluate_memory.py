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

import numpy as np
import polars as pl
from absl import app, flags

from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.participation import Grid
from tfrecords.memory import keep_freed_memory

if TYPE_CHECKING:
    from dc_keras.evaluation.experiment import Experiment

_FOLDS = flags.DEFINE_integer("folds", 40, "Number of folds to fit.", lower_bound=2)
_USERS = flags.DEFINE_integer(
    "users", 60, "Number of users of the world.", lower_bound=20
)

_FULL, _LOOKS, _MOST = 40, (4, 10, 20, 40), 1.10
_NUM_CHALLENGES, _NUM_SUPPORT, _HISTORY, _CAPTION_DIM = 6, 40, 4, 384
_MODELS = ("deepChallenger", "videos_only", "paper", "simple")
_START, _DAY = 1_600_000_000, 86_400


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


def make_experiment(
    num_users: int,
    num_challenges: int = _NUM_CHALLENGES,
    num_support: int = _NUM_SUPPORT,
    caption_dim: int = _CAPTION_DIM,
) -> Experiment:
    """Returns an experiment on a world without media, with a short training."""
    from dc_keras.context.post_features import read_facts
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.features import Features

    rng = np.random.default_rng(0)
    grid = _make_grid(rng, num_users, num_challenges, num_support)
    posts = _make_posts(rng, grid)
    videos = tuple(posts["video_id"])
    captions = rng.standard_normal((len(videos), caption_dim), np.float32)
    return Experiment(
        grid=grid,
        table=Features(videos, {}, captions, {"fingerprint": "made up"}),
        facts=read_facts(posts, grid),
        training=TrainingOptions(epochs=3, epoch_steps=5),
        protocol=ProtocolOptions(num_folds=1),
        models=_MODELS,
    )


def _run_fold(experiment: Experiment, seed: int, directory: Path) -> float:
    """Fits and evaluates one fold; returns its CPU seconds."""
    from dc_keras.evaluation.fold_runner import run_experiment

    start = time.process_time()
    training = replace(experiment.training, seed=seed)
    one = replace(experiment, training=training)
    run_experiment(one, ["random_pair"], 1, directory, lambda _: None)
    return time.process_time() - start


def _make_grid(
    rng: np.random.Generator, num_users: int, num_challenges: int, num_support: int
) -> Grid:
    users = tuple(f"user{n:04d}" for n in range(num_users))
    challenges = tuple(f"challenge{c}" for c in range(num_challenges))
    shape = (num_users, num_challenges)
    wish = rng.normal(size=shape[:1])[:, None] + rng.gumbel(size=shape)
    labels = wish > np.quantile(wish, 0.7)
    histories = tuple(tuple(f"{u}-{n}" for n in range(_HISTORY)) for u in users)
    support = tuple(tuple(f"{c}-{n}" for n in range(num_support)) for c in challenges)
    owners = {video: video.split("-")[0] for ids in histories for video in ids}
    owners |= {video: f"outside {video}" for ids in support for video in ids}
    return Grid(
        challenges=challenges,
        users=users,
        labels=labels.astype(np.int8),
        observed=np.ones_like(labels),
        histories=histories,
        support=support,
        video_users=owners,
        settings={
            "name": "made up",
            "history_max": _HISTORY,
            "support_max": num_support,
        },
    )


def _make_posts(rng: np.random.Generator, grid: Grid) -> pl.DataFrame:
    """Returns random facts of the posts: a hashtag, a sound, counts and a time."""
    video_ids = sorted(grid.video_users)
    count = len(video_ids)
    tags = [f"tag{tag}" for tag in rng.integers(0, 20, count)]
    numbers = ("views", "likes", "comments", "shares")
    return pl.DataFrame(
        {
            "video_id": video_ids,
            "caption": [f"#{tag}" for tag in tags],
            "hashtags": [[tag] for tag in tags],
            "music_id": [str(sound) for sound in rng.integers(0, 20, count)],
            "music_title": ["a sound"] * count,
            "create_time": _START + rng.integers(0, 90 * _DAY, count),
            "duration_s": rng.uniform(5, 60, count),
            **{name: rng.integers(0, 10**6, count) for name in numbers},
        }
    )


if __name__ == "__main__":
    app.run(main)
