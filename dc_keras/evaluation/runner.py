"""Runs every model on every fold and keeps each prediction.

Metrics and tables are made from the saved predictions (`results.py`), so that they can
be remade without training, and a stopped run goes on at the fold where it was. Folds
know nothing of each other: several processes can fit them, each its own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dc_keras.corpus.pairs import grid_pairs
from dc_keras.corpus.store import write_table, write_text
from dc_keras.errors import DataError
from dc_keras.evaluation.experiment import Experiment, FoldRun
from dc_keras.evaluation.splits import Fold, make_folds


@dataclass(frozen=True)
class _Job:
    """A fold of a seed, and the name of its files."""

    fold: Fold
    seed: int

    @property
    def name(self) -> str:
        return f"{self.fold.split}-seed{self.seed}-fold{self.fold.index}"


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
        splits: names of splits.
        num_seeds: seeds 0 … num_seeds−1, added to `TrainingOptions.seed`.
        directory: gets `config.json`, `predictions/SPLIT-seedS-foldF.parquet` (model,
            part, user_id, challenge, label, score) and, for `random_pair`,
            `proxies/…parquet` (kind, variant, video_id, label, predicted).
        tell: called with one line when something is about to be fitted; pickled for
            other processes, so a function of a module.
        workers: processes that fit folds; each holds the features in memory.

    Raises:
        DataError: the directory holds a run with another configuration, a fold lacks a
            label, or a worker died.
    """
    _claim(directory, experiment.config())
    jobs = []
    for job in list(_jobs(experiment, splits, num_seeds)):
        if (directory / "predictions" / f"{job.name}.parquet").exists():
            tell(f"{job.name}: done before")
        else:
            jobs.append(job)
    workers = min(workers, len(jobs))
    if workers > 1:
        _run_in_processes(experiment, jobs, directory, tell, workers)
        return
    for job in jobs:
        _run_fold(experiment, job, directory, tell)


def _jobs(
    experiment: Experiment, splits: Sequence[str], num_seeds: int
) -> Iterator[_Job]:
    judges_pairs = experiment.models != ("proxies",)
    pairs = grid_pairs(experiment.grid)
    for seed in range(num_seeds):
        for split in splits:
            for fold in make_folds(
                experiment.grid,
                pairs,
                split,
                experiment.protocol.num_folds,
                experiment.training.validation_fraction,
                experiment.training.seed + seed,
            ):
                job = _Job(fold, seed)
                if judges_pairs:
                    _require_both_labels(job, pairs.label)
                yield job


def _require_both_labels(job: _Job, label: np.ndarray) -> None:
    """Refuses a fold that would teach or judge nothing, before anything is fitted."""
    for part in ("train", "test"):
        found = label[getattr(job.fold, part)]
        if len(np.unique(found)) < 2:
            raise DataError(
                f"{job.name}: every part needs users who joined and users who did "
                f"not; its {len(found)} {part} pairs have {found.sum()} that joined. "
                "Take fewer folds, another --seed, or a study with more joins. "
                f"Received: joined={label.sum()} of {len(label)} pairs"
            )


def _claim(directory: Path, config: dict[str, Any]) -> None:
    """Writes the configuration, or refuses a directory that holds another one."""
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    path = directory / "config.json"
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise DataError(
            f"{directory} holds a run with another configuration; choose another "
            "--output, or remove it"
        )
    directory.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _run_fold(
    experiment: Experiment, job: _Job, directory: Path, tell: Callable[[str], None]
) -> None:
    run = FoldRun(experiment, job.fold, job.seed, job.name, tell)
    tables = {"proxies": run.proxy_predictions(), "predictions": run.predictions()}
    if tables["proxies"].is_empty():
        del tables["proxies"]
    for part, table in tables.items():
        (directory / part).mkdir(exist_ok=True)
        write_table(directory / part / f"{job.name}.parquet", table)


def _run_in_processes(
    experiment: Experiment,
    jobs: Sequence[_Job],
    directory: Path,
    tell: Callable[[str], None],
    workers: int,
) -> None:
    # Spawned, not forked: TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(experiment, tell, stop)
    ) as pool:
        try:
            futures = [pool.submit(_run_in_worker, job, directory) for job in jobs]
            for future in as_completed(futures):
                future.result()
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
_shared: dict[str, Any] = {}


def _start_worker(
    experiment: Experiment, tell: Callable[[str], None], stop: Any
) -> None:
    # Ctrl-C reaches every process of the terminal; the first one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    for happened in (stop.wait, parent.join if parent else stop.wait):
        threading.Thread(target=_exit_after, args=(happened,), daemon=True).start()
    _shared.update(experiment=experiment, tell=tell)


def _exit_after(happened: Callable[[], object]) -> None:
    """Ends the process at once: a fold takes long, and half of one is not kept."""
    happened()
    os._exit(1)


def _run_in_worker(job: _Job, directory: Path) -> None:
    _run_fold(_shared["experiment"], job, directory, _shared["tell"])
