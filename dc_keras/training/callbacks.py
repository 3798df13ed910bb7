"""What a training leaves behind: the curve, TensorBoard logs, and a way back in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """Early stopping that remembers across a restart how long it has waited.

    Keras's own starts anew after `BackupAndRestore`, so that a training stopped and
    taken up again would end with other weights than one left alone.

    Args:
        backup_dir: where the memory is kept; None keeps none.
        **kwargs: those of `keras.callbacks.EarlyStopping`.
    """

    def __init__(self, backup_dir: Path | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._memory = None if backup_dir is None else backup_dir / "early_stopping.npz"
        self._last_epoch = -1

    def on_train_begin(self, logs: Any = None) -> None:
        """Recalls the memory of a stopped training, where there is one."""
        super().on_train_begin(logs)
        if self._memory is None or not self._memory.exists():
            return
        with np.load(self._memory, allow_pickle=False) as saved:
            self._last_epoch, self.wait, self.best_epoch = map(int, saved["counts"])
            self.best = float(saved["best"])
            self.best_weights = [
                saved[f"weight_{i}"] for i in range(len(saved.files) - 2)
            ]

    def judge_start(self, logs: dict[str, float]) -> None:
        """Takes the weights before the first epoch as the best so far."""
        self.best = logs[self.monitor]
        self.best_weights, self.best_epoch = self.model.get_weights(), -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Stops where the epochs before had already decided so."""
        if epoch > self._last_epoch:
            self._stop_again()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Judges the epoch once, even where it is run again after a stop."""
        if epoch == self._last_epoch:
            self._stop_again()
        if epoch <= self._last_epoch or self.stopped_epoch > 0:
            return
        super().on_epoch_end(epoch, logs)
        self._last_epoch = epoch
        if self._memory is not None and self.best_weights is not None:
            self._remember(self._memory)

    def _stop_again(self) -> None:
        if self._last_epoch > 0 and self.wait >= self.patience:
            self.stopped_epoch = self._last_epoch
            self.model.stop_training = True

    def _remember(self, path: Path) -> None:
        weights = {f"weight_{i}": w for i, w in enumerate(self.best_weights)}
        counts = np.array([self._last_epoch, self.wait, self.best_epoch])
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, counts=counts, best=self.best, **weights)
        temporary.replace(path)


class ResumableCSVLogger(keras.callbacks.CSVLogger):
    """A CSV log of one row an epoch, even where an epoch is run again after a stop."""

    def on_train_begin(self, logs: Any = None) -> None:
        """Counts the epochs that the file tells of, where it goes on."""
        path, self._num_rows = Path(self.filename), 0
        if self.append and path.exists():
            # The first line holds the names of the columns.
            self._num_rows = len(path.read_text(encoding="utf-8").splitlines()) - 1
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds a row."""
        if epoch >= self._num_rows:
            super().on_epoch_end(epoch, logs)


def training_callbacks(directory: Path) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a training that leaves files in `directory`.

    `history.csv` (one row an epoch), `tensorboard/` (scalars) and, while it runs,
    `backup/`, from which the same command goes on after a stop.
    """
    backup = directory / "backup"
    directory.mkdir(parents=True, exist_ok=True)
    return [
        ResumableCSVLogger(directory / "history.csv", append=backup.exists()),
        keras.callbacks.TensorBoard(directory / "tensorboard", write_graph=False),
        # Two, so that a stop in the middle of writing one costs an epoch, not all.
        keras.callbacks.BackupAndRestore(backup, double_checkpoint=True),
    ]


def log_config(directory: Path, config: Mapping[str, Any]) -> None:
    """Writes the resolved configuration as a text in TensorBoard."""
    text = "```json\n" + json.dumps(config, indent=2, sort_keys=True) + "\n```"
    with tf.summary.create_file_writer(str(directory)).as_default():
        tf.summary.text("config", text, step=0)


def log_pr_curve(directory: Path, labels: np.ndarray, scores: np.ndarray) -> None:
    """Writes the precision–recall curve of validation pairs in TensorBoard.

    Args:
        directory: TensorBoard's log directory.
        labels: 0/1 (num_pairs,).
        scores: float (num_pairs,), probabilities.
    """
    from tensorboard.plugins.pr_curve import metadata

    num_thresholds = 101
    thresholds = np.linspace(0, 1, num_thresholds)
    positive = labels.astype(bool)
    called = scores[None, :] >= thresholds[:, None]
    tp = (called & positive).sum(axis=1)
    fp = (called & ~positive).sum(axis=1)
    tn, fn = (~positive).sum() - fp, positive.sum() - tp
    precision = tp / np.maximum(tp + fp, 1)
    recall = tp / np.maximum(tp + fn, 1)
    data = np.stack([tp, fp, tn, fn, precision, recall]).astype(np.float32)
    summary = metadata.create_summary_metadata(
        "participation", "validation pairs", num_thresholds
    )
    with tf.summary.create_file_writer(str(directory)).as_default():
        tf.summary.write(
            "participation/pr_curve", data, step=0, metadata=_as_tf(summary)
        )


def log_projector(
    directory: Path, name: str, vectors: np.ndarray, labels: Sequence[str]
) -> None:
    """Adds representations to TensorBoard's projector.

    Args:
        directory: TensorBoard's log directory.
        name: name of the embedding.
        vectors: float (num_points, dim).
        labels: one line a point.
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    directory.mkdir(parents=True, exist_ok=True)
    np.savetxt(directory / f"{name}.tsv", vectors, fmt="%.5g", delimiter="\t")
    (directory / f"{name}_labels.tsv").write_text(
        "".join(f"{label}\n" for label in labels), encoding="utf-8"
    )
    path = directory / "projector_config.pbtxt"
    config = ProjectorConfig()
    if path.exists():
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    kept = [item for item in config.embeddings if item.tensor_name != name]
    del config.embeddings[:]
    config.embeddings.extend(kept)
    config.embeddings.add(
        tensor_name=name, tensor_path=f"{name}.tsv", metadata_path=f"{name}_labels.tsv"
    )
    path.write_text(text_format.MessageToString(config), encoding="utf-8")


def _as_tf(metadata: Any) -> Any:
    """Re-reads TensorBoard's own copy of a protobuf as TensorFlow's."""
    return tf.compat.v1.SummaryMetadata.FromString(metadata.SerializeToString())
