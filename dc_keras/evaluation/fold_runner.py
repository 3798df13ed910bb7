"""Runs all models on all folds and saves their predictions.

Metrics and tables are computed from the saved predictions (`results.py`) and can be
computed again without training. A run that was stopped continues with the unfinished
folds. Folds are independent, so several processes can run them in parallel.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
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

# A run of a few seconds reports no pace.
_QUIET_SECONDS = 5.0


@dataclass(frozen=True)
class _Job:
    """A fold to run: the position of its manifest and the name of the fold."""

    manifest: int
    name: str


def run_experiment(
    experiment: Experiment,
    splits: Sequence[str],
    num_seeds: int,
    directory: Path,
    progress: Callable[[str], None],
    workers: int = 1,
) -> None:
    """Runs all folds of several splits and seeds.

    Args:
        experiment: data and options.
        splits: names of the splits; `temporal` uses `experiment.temporal`.
        num_seeds: number of seeds, counted from `TrainingOptions.seed`.
        directory: see `run_manifests`.
        progress: see `run_manifests`.
        workers: see `run_manifests`.

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
    run_manifests(experiment, manifests, directory, progress, workers)


def run_manifests(
    experiment: Experiment,
    manifests: Sequence[Manifest],
    directory: Path,
    progress: Callable[[str], None],
    workers: int = 1,
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

    Raises:
        DataError: if the directory has a run with another configuration, a fold lacks
            one of the labels, a group of context features is unknown, or a worker
            process dies.
    """
    experiment.recipes()  # raises an error for unknown groups of context features
    if experiment.models != ("proxies",):
        for manifest in manifests:
            _require_both_labels(manifest)
    _claim(directory, experiment.config(), manifests)
    done = read_sums(directory / SUMS_FILE) or {}
    jobs = []
    for job in _jobs(manifests):
        if f"predictions/{job.name}.parquet" in done:
            progress(f"{job.name}: already done")
        else:
            jobs.append(job)
    work = _Work(experiment, manifests, directory, progress)
    workers = min(workers, len(jobs))
    start = time.monotonic()
    runs = _run_in_processes(work, jobs, workers) if workers > 1 else work.each(jobs)
    with closing(runs):
        for number, job in enumerate(runs, 1):
            _mark_done(directory, job)
            spent = time.monotonic() - start
            if spent >= _QUIET_SECONDS:
                pace = spent / number
                progress(
                    f"{number} of {len(jobs)} folds done, {pace:.0f} s each, about "
                    f"{pace * (len(jobs) - number):.0f} s left"
                )


def _mark_done(directory: Path, job: _Job) -> None:
    """Adds the files of a fold to the checksums, which marks the fold as done."""
    names = (f"{part}/{job.name}.parquet" for part in ("predictions", "proxies"))
    add_to_sums(directory, [name for name in names if (directory / name).exists()])


def _jobs(manifests: Sequence[Manifest]) -> list[_Job]:
    """Returns all folds ordered by seed: a stopped run has complete first seeds."""
    jobs = [
        (manifest.seeds[name], number, _Job(number, name))
        for number, manifest in enumerate(manifests)
        for name in manifest.folds
    ]
    return [job for *_, job in sorted(jobs, key=lambda entry: entry[:2])]


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


def _claim(
    directory: Path, config: dict[str, Any], manifests: Sequence[Manifest]
) -> None:
    """Writes configuration and manifests, unless those of another run are there."""
    finish_update(directory)
    path = directory / "config.json"
    if path.exists():
        verify_directory(directory, "evaluate")
        before = json.loads(path.read_text(encoding="utf-8"))
        difference = describe_difference(before, config)
        if difference is not None:
            raise DataError(
                f"{directory} has a run with another configuration; choose another "
                f"--output, or remove it. Received: {difference}"
            )
    # Runs of older versions have no checksums; their files count as done.
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
    """The data that a process needs to run any fold."""

    experiment: Experiment
    manifests: Sequence[Manifest]
    directory: Path
    progress: Callable[[str], None]

    def each(self, jobs: Sequence[_Job]) -> Generator[_Job, None, None]:
        """Runs folds one after another, and yields each when it is finished."""
        for job in jobs:
            self.run(job)
            yield job

    def run(self, job: _Job) -> None:
        """Runs a fold and writes its predictions."""
        # The matrices outside TensorFlow are small, and the threads of BLAS wait for
        # each other: beside other programs an SVD of 1,400 × 384 took 1 to 5 s with two
        # threads, and 0.06 s with one.
        with threadpool_limits(1, user_api="blas"):
            self._run(job)

    def _run(self, job: _Job) -> None:
        manifest = self.manifests[job.manifest]
        fold_run = FoldRun(
            self.experiment.on_grid(manifest.grid),
            manifest.folds[job.name],
            manifest.seeds[job.name],
            job.name,
            self.progress,
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
        # Keras models are in reference cycles. Python's collector counts objects and
        # does not consider the memory of their weights.
        del fold_run
        gc.collect()


def _run_in_processes(
    work: _Work, jobs: Sequence[_Job], workers: int
) -> Generator[_Job, None, None]:
    """Runs folds in parallel, and yields each when it is finished."""
    # TensorFlow's threads do not survive a fork.
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
                yield futures[future]
        except BrokenProcessPool as error:
            message = (
                "a worker process died, probably because memory ran out; finished "
                f"folds are kept, continue with fewer. Received: workers={workers}"
            )
            raise DataError(message) from error
        except BaseException:
            stop.set()
            raise


# The work of this worker process, set when it starts.
_shared: dict[str, _Work] = {}


def _start_worker(work: _Work, stop: Any, num_threads: int) -> None:
    keep_freed_memory()
    _limit_threads(num_threads)
    # Ctrl-C reaches every process of the terminal; the main process stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    for wait in (stop.wait, parent.join if parent else stop.wait):
        threading.Thread(target=_exit_after, args=(wait,), daemon=True).start()
    _shared["work"] = work


def _limit_threads(count: int) -> None:
    """Limits the threads of this process, so that workers do not share cores."""
    threading_options = tf.config.threading
    threading_options.set_intra_op_parallelism_threads(count)
    threading_options.set_inter_op_parallelism_threads(count)
    threadpool_limits(count)


def _exit_after(wait: Callable[[], object]) -> None:
    """Ends the process after an event; an unfinished fold is discarded."""
    wait()
    os._exit(1)


def _run_in_worker(job: _Job) -> None:
    _shared["work"].run(job)
