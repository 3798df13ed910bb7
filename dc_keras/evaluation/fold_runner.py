"""Runs all models on all folds and saves their predictions.

Metrics and tables are computed from the saved predictions (`results.py`) and can be
computed again without training. A run that was stopped continues with the unfinished
folds. Folds are independent, so several processes or machines can run them in parallel.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from dc_keras.errors import DataError
from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.fold_run import FoldRun
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.split_manifest import Manifest, make_manifest
from tfrecords.progress import remove_leftovers_of, replacing
from tfrecords.storage.resumable import finish_files, open_resumable
from tfrecords.unit_runs import run_units

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster

# A run of a few seconds reports no pace.
_QUIET_SECONDS = 5.0
_PARTS = ("predictions", "proxies")


def run_experiment(
    experiment: Experiment,
    splits: Sequence[str],
    num_seeds: int,
    directory: Path,
    progress: Callable[[str], None],
    workers: int = 1,
    cluster: RayCluster | None = None,
) -> None:
    """Runs all folds of several splits and seeds, as `run_manifests` does.

    Args:
        experiment: data and options.
        splits: names of the splits; `temporal` uses `experiment.temporal`.
        num_seeds: number of seeds, counted from `TrainingOptions.seed`.
        directory: output directory.
        progress: called with a progress message before each fit.
        workers: number of processes.
        cluster: Ray cluster that runs the folds instead.

    Raises:
        DataError: if `temporal` has no grid, or `splits.make_folds` or `run_manifests`
            fails.
    """
    manifests = []
    for split in splits:
        grid = experiment.temporal if split == "temporal" else experiment.grid
        if grid is None:
            raise DataError("temporal needs a grid of several cutoffs. Received: none")
        manifests.append(
            make_manifest(
                grid, split, num_seeds, experiment.protocol, experiment.training
            )
        )
    run_manifests(experiment, manifests, directory, progress, workers, cluster)


def run_manifests(
    experiment: Experiment,
    manifests: Sequence[Manifest],
    directory: Path,
    progress: Callable[[str], None],
    workers: int = 1,
    cluster: RayCluster | None = None,
) -> None:
    """Runs all folds of manifests.

    Args:
        experiment: data and options; grids and folds are taken from the manifests.
        manifests: one manifest per split.
        directory: output directory. It gets `config.json`, `manifests/SPLIT.json`,
            `predictions/SPLIT-seedS-foldF.parquet` (model, part, user_id, challenge,
            label, score) and, for `random_pair`, `proxies/…parquet` (kind, variant,
            video_id, label, predicted).
        progress: called with a progress message before each fit. With several workers,
            it is pickled, so it must be a module-level function.
        workers: number of processes.
        cluster: Ray cluster that runs the folds instead.

    Raises:
        DataError: if the directory has a run with another configuration, a fold lacks
            one of the labels, a group of context features is unknown, a worker process
            dies, or the cluster cannot be used.
    """
    experiment.recipes()  # raises an error for unknown groups of context features
    if experiment.models != ("proxies",):
        for manifest in manifests:
            _require_both_labels(manifest)
    texts = {f"manifests/{m.split}.json": m.to_json() for m in manifests}
    config = experiment.config()
    done = open_resumable(directory, config, "evaluate", texts=texts)
    jobs = []
    for number, name in _jobs(manifests):
        if f"predictions/{name}.parquet" in done:
            progress(f"{name}: already done")
        else:
            jobs.append((number, name))
    work = _Work(experiment, manifests, directory, progress)
    start = time.monotonic()
    runs = run_units(work.run, jobs, "fold", workers=workers, cluster=cluster)
    with closing(runs):
        for number, ((_, name), _) in enumerate(runs, 1):
            finish_files(directory, (f"{part}/{name}.parquet" for part in _PARTS))
            spent = time.monotonic() - start
            if spent >= _QUIET_SECONDS:
                pace, left = spent / number, len(jobs) - number
                line = (
                    f"{number} of {len(jobs)} folds done, {pace:.0f} s each, about "
                    f"{pace * left:.0f} s left"
                )
                if workers == number == 1 and cluster is None and left > 1:
                    line += "; a fold uses one core, --workers=N fits N folds at a time"
                progress(line)


def _jobs(manifests: Sequence[Manifest]) -> list[tuple[int, str]]:
    """Returns position of the manifest and name of each fold.

    They are ordered by seed: a stopped run has complete first seeds.
    """
    jobs = [
        (number, name)
        for number, manifest in enumerate(manifests)
        for name in manifest.folds
    ]
    return sorted(jobs, key=lambda job: (manifests[job[0]].seeds[job[1]], job[0]))


def _require_both_labels(manifest: Manifest) -> None:
    """Raises an error if training or test pairs of a fold all have one label."""
    label = grid_pairs(manifest.grid).label
    for name, fold in manifest.folds.items():
        for part in ("train", "test"):
            in_part = label[getattr(fold, part)]
            if len(np.unique(in_part)) < 2:
                raise DataError(
                    f"{name}: every part needs pairs that joined and pairs that did "
                    f"not, but {in_part.sum()} of its {len(in_part)} {part} pairs "
                    "joined. Use fewer folds, another --seed, or a study with more "
                    f"joins. Received: joined={label.sum()} of {len(label)} pairs"
                )


@dataclass(frozen=True)
class _Work:
    """The data that a process needs to run any fold."""

    experiment: Experiment
    manifests: Sequence[Manifest]
    directory: Path
    progress: Callable[[str], None]

    def run(self, job: tuple[int, str]) -> None:
        """Runs a fold and writes its predictions."""
        # The matrices outside TensorFlow are small, and the threads of BLAS wait for
        # each other: beside other programs an SVD of 1,400 × 384 took 1 to 5 s with two
        # threads, and 0.06 s with one.
        with threadpool_limits(1):
            self._run(*job)

    def _run(self, number: int, name: str) -> None:
        manifest = self.manifests[number]
        fold_run = FoldRun(
            self.experiment.on_grid(manifest.grid),
            manifest.folds[name],
            manifest.seeds[name],
            name,
            self.progress,
        )
        tables = {
            "proxies": fold_run.proxy_predictions(),
            "predictions": fold_run.predictions(),
        }
        if tables["proxies"].is_empty():
            del tables["proxies"]
        for part, table in tables.items():
            path = self.directory / part / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            remove_leftovers_of(path)
            with replacing(path) as temporary:
                table.write_parquet(temporary, compression="zstd")
        # Keras models are in reference cycles. Python's collector counts objects and
        # does not consider the memory of their weights.
        del fold_run
        gc.collect()
