"""Keras callbacks of training: log files, TensorBoard, and resuming after a stop."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np


class Backup(keras.callbacks.Callback):
    """Weights and optimizer after the last finished epoch, and a way back to them.

    Keras's `BackupAndRestore` overwrites its files in place and removes them one by
    one, so that a kill may leave half a file, or weights without the memory of
    `ResumableEarlyStopping`. This one replaces its file at once, and renames its
    directory, which has that memory too, before it removes it when the training has
    ended.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self._path = directory / "latest.weights.h5"

    def on_train_begin(self, logs: Any = None) -> None:
        """Goes back to the last finished epoch of a stopped training."""
        if self._path.exists():
            self.model.load_weights(self._path)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Replaces the backup."""
        self.directory.mkdir(parents=True, exist_ok=True)
        new = self.directory / "next.weights.h5"
        self.model.save_weights(new, overwrite=True)
        # On disk before the name is: after a power cut, a name means a whole file.
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(self._path)

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the backup, and what a killed process left of one."""
        gone = self.directory.with_name(f".{self.directory.name}.gone.tmp")
        shutil.rmtree(gone, ignore_errors=True)
        if self.directory.exists():
            self.directory.rename(gone)
            shutil.rmtree(gone)


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """Early stopping that keeps its state when training is resumed.

    `keras.callbacks.EarlyStopping` loses it, so that resumed and uninterrupted training
    could end with different weights. The state is in `backup_dir`; None does not save
    it.
    """

    def __init__(self, backup_dir: Path | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._path = None if backup_dir is None else backup_dir / "early_stopping.npz"
        self._last_epoch = -1

    def on_train_begin(self, logs: Any = None) -> None:
        """Restores the state of a stopped training, if there is one."""
        super().on_train_begin(logs)
        if self._path is None or not self._path.exists():
            return
        with self._path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
            self._last_epoch, self.wait, self.best_epoch = map(int, saved["counts"])
            self.best = float(saved["best"])
            self.best_weights = [
                saved[f"weight_{i}"] for i in range(len(saved.files) - 2)
            ]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Stops training if the restored state requires it."""
        if epoch > self._last_epoch:
            self._stop_again()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Updates the state, once per epoch even if an epoch is repeated."""
        if epoch == self._last_epoch:
            self._stop_again()
        if epoch <= self._last_epoch or self.stopped_epoch > 0:
            return
        super().on_epoch_end(epoch, logs)
        self._last_epoch = epoch
        if self._path is not None and self.best_weights is not None:
            self._save(self._path)

    def _stop_again(self) -> None:
        if self._last_epoch > 0 and self.wait >= self.patience:
            self.stopped_epoch = self._last_epoch
            self.model.stop_training = True

    def _save(self, path: Path) -> None:
        weights = {f"weight_{i}": w for i, w in enumerate(self.best_weights)}
        counts = np.array([self._last_epoch, self.wait, self.best_epoch])
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, counts=counts, best=self.best, **weights)
        temporary.replace(path)


class EpochLines(keras.callbacks.Callback):
    """Reports each epoch in a line: loss and scores, seconds, and the time left."""

    def __init__(self, name: str, progress: Callable[[str], None]) -> None:
        super().__init__()
        self._name, self._progress = name, progress

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Reports the epoch."""
        seconds = time.monotonic() - self._start
        num_left = self.params["epochs"] - epoch - 1
        values = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        self._progress(
            f"{self._name}: epoch {epoch + 1} of {self.params['epochs']}, {values}, "
            f"{seconds:.1f} s, at most {seconds * num_left:.0f} s left"
        )


class ResumableCSVLogger(keras.callbacks.CSVLogger):
    """A CSV log with one row per epoch, even if an epoch is repeated after a stop."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Counts the rows of an existing file."""
        path, self._num_rows = Path(self.filename), 0
        if self.append and path.exists():
            # The first line is the header.
            self._num_rows = len(path.read_text(encoding="utf-8").splitlines()) - 1
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds a row for a new epoch."""
        if epoch >= self._num_rows:
            super().on_epoch_end(epoch, logs)


def training_callbacks(
    directory: Path,
    hparams: Mapping[str, bool | int | float | str] | None = None,
    profile_steps: tuple[int, int] | None = None,
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that write the files of a training.

    The files are `history.csv` (one row per epoch), `tensorboard/` (scalars) and,
    during training, `backup/`, from which training resumes after a stop.

    Args:
        directory: output directory, created if missing.
        hparams: values for TensorBoard's HParams; None for none.
        profile_steps: first and last step, from 1, for TensorFlow's profiler; with
            `steps_per_execution`, executions are counted.
    """
    from tensorboard.plugins.hparams import api

    backup, logs = directory / "backup", directory / "tensorboard"
    directory.mkdir(parents=True, exist_ok=True)
    return [
        ResumableCSVLogger(directory / "history.csv", append=backup.exists()),
        keras.callbacks.TensorBoard(
            logs, write_graph=False, profile_batch=profile_steps or 0
        ),
        *([api.KerasCallback(str(logs), dict(hparams))] if hparams else []),
        Backup(backup),
    ]
