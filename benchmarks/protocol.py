r"""Measures the paper's complete protocol on features of the paper's sizes.

    python -m benchmarks.protocol --output=/tmp/protocol --epochs=30 --epoch_steps=1 \
        --patience=0

12 challenges with 7,000 videos and a panel of 1,303 users with 8 videos each, 50 frames
per video in the sizes of VGG16 (512) and ResNet50 (2,048), captions of 768, three folds
of 80/20, and the five rows of Table II, with the default preset. The features are
synthetic: noise around a centre for each challenge and each user, seed 0. They are
written as records into the output, once. Prints the wall time, the CPU time and the
peak memory of the largest process, without the page cache. --fraction uses a share of
the videos and users; --challenges shares the videos among another number of challenges.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import app, flags

from benchmarks.worlds import random_grid, random_posts
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.study.participation import Grid
from pipelines._cli import option_flags
from tfrecords.unit_runs import use_one_thread

if TYPE_CHECKING:
    from dc_keras.features import Features

_OUTPUT = flags.DEFINE_string("output", None, "Directory of the run.", required=True)
_FRACTION = flags.DEFINE_float(
    "fraction", 1.0, "Share of the paper's users and videos.", 0.01, 1.0
)
_CHALLENGES = flags.DEFINE_integer("challenges", 12, "Number of challenges.", 2)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes.", lower_bound=1)
option_flags.define(ModelOptions, TrainingOptions, ProtocolOptions, ContextOptions)

_NUM_SUPPORT, _NUM_USERS, _HISTORY = 7000, 1303, 8
_NUM_FRAMES, _WIDTHS, _CAPTION_DIM = 50, {"VGG16": 512, "ResNet50": 2048}, 768
_SIGNAL = 0.3


def main(_: list[str]) -> None:
    """Runs the protocol and prints Table II and the cost."""
    from dc_keras.context.post_features import read_facts
    from dc_keras.evaluation.experiment import Experiment
    from dc_keras.evaluation.fold_runner import run_experiment
    from dc_keras.evaluation.results import judge_split, participation_table

    use_one_thread()
    rng = np.random.default_rng(0)
    num_users = round(_NUM_USERS * _FRACTION.value)
    num_videos = round(_NUM_SUPPORT * _FRACTION.value)
    grid = random_grid(rng, num_users, num_videos, _CHALLENGES.value, _HISTORY)
    videos = random_posts(rng, grid)
    output = Path(_OUTPUT.value)
    table = _make_features(rng, grid, output)
    start, busy = time.monotonic(), _processor_seconds()
    experiment = Experiment(
        grid=grid,
        table=table,
        facts=read_facts(videos, grid),
        model=option_flags.resolve(ModelOptions),
        training=option_flags.resolve(TrainingOptions),
        protocol=option_flags.resolve(ProtocolOptions),
        context=option_flags.resolve(ContextOptions),
        models=("deepChallenger", "paper"),
    )
    run = output / "run"
    run_experiment(experiment, ["random_pair"], 1, run, _log, workers=_WORKERS.value)
    judgement = judge_split(run, "random_pair")
    print(participation_table(judgement, "made-up features").to_console())
    owners = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    gibibytes = max(resource.getrusage(owner).ru_maxrss for owner in owners) / 2**20
    print(
        f"{len(table.video_ids)} videos, {len(grid.users)} users, "
        f"{len(grid.challenges)} challenges: "
        f"{time.monotonic() - start:.0f} s, {_processor_seconds() - busy:.0f} s of the "
        f"processor, {gibibytes:.1f} GiB, {_WORKERS.value} workers of {os.cpu_count()}"
    )


def _make_features(rng: np.random.Generator, grid: Grid, output: Path) -> Features:
    """Writes feature records, unless they are there, and opens them."""
    from dc_keras.features import Features
    from tfrecords.writer import MANIFEST

    groups = [*grid.support, *grid.histories]
    video_ids = [video for ids in groups for video in ids]
    group = np.repeat(np.arange(len(groups)), [len(ids) for ids in groups])
    captions = _around(rng, group, (_CAPTION_DIM,))
    directories = [output / "features" / name for name in _WIDTHS]
    for directory in directories:
        if not (directory / MANIFEST).exists():
            _write_features(rng, directory, video_ids, group, captions)
    return Features.load(*directories)


def _write_features(
    rng: np.random.Generator,
    directory: Path,
    video_ids: Sequence[str],
    group: np.ndarray,
    captions: np.ndarray,
) -> None:
    """Writes frames and captions of all videos: a shard for each thousand videos."""
    from tfrecords.frame_sampling import SamplingConfig
    from tfrecords.schema import FeatureRecord, build_feature_record
    from tfrecords.writer import shard_name, write_manifest, write_shard

    shape = (_NUM_FRAMES, _WIDTHS[directory.name])
    mask = np.ones(_NUM_FRAMES, bool)
    directory.mkdir(parents=True)

    def records(rows: np.ndarray) -> Iterator[bytes]:
        for row, frames in zip(rows, _around(rng, group[rows], shape), strict=True):
            half = frames.astype(np.float16)
            record = FeatureRecord(video_ids[row], "user", half, mask, captions[row])
            yield build_feature_record(record)

    parts = np.array_split(np.arange(len(group)), max(1, len(group) // 1000))
    entries = [
        write_shard(
            directory, shard_name("features", n, len(parts)), "", records(rows), dict
        )
        for n, rows in enumerate(parts)
    ]
    settings = {
        "vision": {"name": directory.name, "fingerprint": "made up"},
        "text": {"name": "captions", "fingerprint": "made up"},
        "frames": asdict(SamplingConfig()),
        "repeat": "nearest",
    }
    write_manifest(directory, "features", settings, entries)


def _around(
    rng: np.random.Generator, group: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Returns noise around the centre of the group, for each row."""
    values = rng.standard_normal((len(group), *shape), np.float32)
    for number in np.unique(group):
        centre = np.random.default_rng(number).standard_normal(shape[-1:], np.float32)
        values[group == number] += _SIGNAL * centre
    return values


def _processor_seconds() -> float:
    """Returns the CPU seconds of this process and its children."""
    return sum(os.times()[:4])


def _log(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    app.run(main)
