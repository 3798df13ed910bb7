"""Runs every model on every fold and keeps each prediction.

Metrics and tables are made from the saved predictions (`results.py`), so that they can
be remade without training, and a stopped run goes on at the fold where it was. Folds
know nothing of each other: several processes can fit them, each its own.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from dc_keras.corpus.store import write_table, write_text
from dc_keras.errors import DataError
from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.fold_run import FoldRun
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.split_manifest import Manifest, make_manifest
from tfrecords.memory import keep_freed_memory
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update
from tfrecords.storage.checksums import (
    SUMS_FILE,
    add_to_sums,
    hash_directory,
    read_sums,
)
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.settings_difference import describe_difference


@dataclass(frozen=True)
class _Job:
    """A fold to run: where it stands in the manifests, and the name of its files."""

    manifest: int
    name: str


def run_experiment(
    experiment: Experiment,
    splits: Sequence[str],
    num_seeds: int,
    directory: Path,
    tell: Callable[[str], None],
    workers: int = 1,
) -> None:
    """Trains and predicts every fold of every split and seed.

    Args:
        experiment: data and options.
        splits: names of splits; `temporal` is made from `experiment.temporal`.
        num_seeds: seeds 0 … num_seeds−1, added to `TrainingOptions.seed`.
        directory: as for `run_manifests`.
        tell: as for `run_manifests`.
        workers: as for `run_manifests`.

    Raises:
        DataError: as `run_manifests` and `splits.make_folds`, or `temporal` without its
            grid.
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
    run_manifests(experiment, manifests, directory, tell, workers)


def run_manifests(
    experiment: Experiment,
    manifests: Sequence[Manifest],
    directory: Path,
    tell: Callable[[str], None],
    workers: int = 1,
) -> None:
    """Trains and predicts every fold of some manifests.

    Args:
        experiment: data and options; grids and folds are those of the manifests.
        manifests: one a split.
        directory: gets `config.json`, `manifests/SPLIT.json`,
            `predictions/SPLIT-seedS-foldF.parquet` (model, part, user_id, challenge,
            label, score) and, for `random_pair`, `proxies/…parquet` (kind, variant,
            video_id, label, predicted).
        tell: called with one line when something is about to be fitted; pickled for
            other processes, so a function of a module.
        workers: processes that fit folds; each holds the features in memory.

    Raises:
        DataError: the directory holds a run with another configuration, a fold lacks a
            label, an unknown group of signals, or a worker died.
    """
    experiment.recipes()  # refuses unknown groups of context before anything is fitted
    if experiment.models != ("proxies",):
        for manifest in manifests:
            _require_both_labels(manifest)
    _claim(directory, experiment.config(), manifests)
    done = read_sums(directory / SUMS_FILE) or {}
    jobs = []
    for job in _jobs(manifests):
        if f"predictions/{job.name}.parquet" in done:
            tell(f"{job.name}: done before")
        else:
            jobs.append(job)
    work = _Work(experiment, manifests, directory, tell)
    workers = min(workers, len(jobs))
    if workers > 1:
        _run_in_processes(work, jobs, workers)
        return
    for job in jobs:
        work.run(job)
        _note(directory, job)


def _note(directory: Path, job: _Job) -> None:
    """Adds the files of a fold to the checksums: from then on it counts as done."""
    names = (f"{part}/{job.name}.parquet" for part in ("predictions", "proxies"))
    add_to_sums(directory, [name for name in names if (directory / name).exists()])


def _jobs(manifests: Sequence[Manifest]) -> list[_Job]:
    """All folds, seed by seed, so that a stopped run has whole seeds of every split."""
    jobs = [
        (manifest.seeds[name], number, _Job(number, name))
        for number, manifest in enumerate(manifests)
        for name in manifest.folds
    ]
    return [job for *_, job in sorted(jobs, key=lambda entry: entry[:2])]


def _require_both_labels(manifest: Manifest) -> None:
    """Refuses a fold that would teach or judge nothing, before anything is fitted."""
    label = grid_pairs(manifest.grid).label
    for name, fold in manifest.folds.items():
        for part in ("train", "test"):
            found = label[getattr(fold, part)]
            if len(np.unique(found)) < 2:
                raise DataError(
                    f"{name}: every part needs users who joined and users who did "
                    f"not; its {len(found)} {part} pairs have {found.sum()} that "
                    "joined. Take fewer folds, another --seed, or a study with more "
                    f"joins. Received: joined={label.sum()} of {len(label)} pairs"
                )


def _claim(
    directory: Path, config: dict[str, Any], manifests: Sequence[Manifest]
) -> None:
    """Writes what is run, or refuses a directory that holds another run."""
    finish_update(directory)
    path = directory / "config.json"
    if path.exists():
        verify_directory(directory, "evaluate")
        before = json.loads(path.read_text(encoding="utf-8"))
        other = describe_difference(before, config)
        if other is not None:
            raise DataError(
                f"{directory} holds a run with another configuration; choose another "
                f"--output, or remove it. Received: {other}"
            )
    # A run of before there were checksums has folds that count.
    is_old = path.exists() and not (directory / SUMS_FILE).exists()
    with AtomicUpdate(directory) as files:
        text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
        write_text(files.path("config.json"), text)
        for manifest in manifests:
            name = f"manifests/{manifest.split}.json"
            write_text(files.path(name), manifest.to_json())
        files.commit(hash_directory(directory) if is_old else None)


@dataclass(frozen=True)
class _Work:
    """What every process needs to run any fold."""

    experiment: Experiment
    manifests: Sequence[Manifest]
    directory: Path
    tell: Callable[[str], None]

    def run(self, job: _Job) -> None:
        """Runs a fold and writes what it predicts."""
        manifest = self.manifests[job.manifest]
        fold_run = FoldRun(
            self.experiment.on(manifest.grid),
            manifest.folds[job.name],
            manifest.seeds[job.name],
            job.name,
            self.tell,
        )
        tables = {
            "proxies": fold_run.proxy_predictions(),
            "predictions": fold_run.predictions(),
        }
        if tables["proxies"].is_empty():
            del tables["proxies"]
        for part, table in tables.items():
            (self.directory / part).mkdir(exist_ok=True)
            write_table(self.directory / part / f"{job.name}.parquet", table)
        # Keras models are in reference cycles. Python decides by the number of objects
        # when to collect those; it cannot see how much memory their weights hold.
        del fold_run
        gc.collect()


def _run_in_processes(work: _Work, jobs: Sequence[_Job], workers: int) -> None:
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    start = (work, stop, max(1, (os.cpu_count() or 1) // workers))
    with ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=start
    ) as pool:
        try:
            futures = {pool.submit(_run_in_worker, job): job for job in jobs}
            for future in as_completed(futures):
                future.result()
                _note(work.directory, futures[future])
        except BrokenProcessPool as error:
            message = (
                "a worker process died, probably for want of memory; the folds that "
                f"are done stay, go on with fewer. Received: workers={workers}"
            )
            raise DataError(message) from error
        except BaseException:
            stop.set()
            raise


# What a worker was started with.
_shared: dict[str, _Work] = {}


def _start_worker(work: _Work, stop: Any, num_threads: int) -> None:
    keep_freed_memory()
    _limit_threads(num_threads)
    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    for happened in (stop.wait, parent.join if parent else stop.wait):
        threading.Thread(target=_exit_after, args=(happened,), daemon=True).start()
    _shared["work"] = work


def _limit_threads(count: int) -> None:
    """Leaves the other cores to the other workers; taking turns takes time itself."""
    threading_options = tf.config.threading
    threading_options.set_intra_op_parallelism_threads(count)
    threading_options.set_inter_op_parallelism_threads(count)
    threadpool_limits(count)


def _exit_after(happened: Callable[[], object]) -> None:
    """Ends the process at once: a fold takes long, and half of one is not kept."""
    happened()
    os._exit(1)


def _run_in_worker(job: _Job) -> None:
    _shared["work"].run(job)
