import csv
import os
import re
from contextlib import nullcontext
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from killing import KilledError, kill_at
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dc_keras.options import TrainingOptions
from dc_keras.training.callbacks import EpochLines, training_callbacks
from dc_keras.training.loop import fit
from dc_keras.training.objectives import participation

# Fast enough to overfit: the fourth epoch is the best, and the seventh the last.
_OPTIONS = TrainingOptions(
    epoch_steps=1,
    decay="none",
    batch_size=10,
    epochs=12,
    learning_rate=0.08,
    patience=3,
    seed=1,
)
_LAST = 6


class _Stop(keras.callbacks.Callback):
    """Interrupts training at a given moment."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.epoch, self.batch = epoch, batch
        self._now = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self._now, batch) == (self.epoch, self.batch):
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if self.batch is None and epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def train_in(tiny_examples, tiny_model):
    """Trains in a directory, up to a stop between the callbacks, if there is one."""
    train, valid = tiny_examples(24, seed=0), tiny_examples(20, seed=1)

    def run(directory, stop=None, position=0, objective=None, options=_OPTIONS):
        callbacks = training_callbacks(directory)
        logger = callbacks[0]
        if stop is not None:
            callbacks.insert(position, stop)
        try:
            return fit(
                lambda: tiny_model(8),
                train,
                valid,
                objective or participation("val_loss"),
                options,
                callbacks,
            )
        finally:
            # A process that ends closes its files.
            logger.csv_file.close()

    return run


def _history(directory):
    with (directory / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def undisturbed(train_in, tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    return train_in(directory), directory


def _same_weights(model, other):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_epoch_is_a_line_with_loss_and_score(train_in, tmp_path):
    lines = []
    epochs = EpochLines("fusion", lines.append)
    train_in(tmp_path, epochs, options=replace(_OPTIONS, epochs=2))
    assert len(lines) == 2
    assert re.fullmatch(
        r"fusion: epoch 1 of 2, loss 0\.\d{4}, val_average_precision 0\.\d{4}, "
        r"val_loss 0\.\d{4}, \d+\.\d s, at most \d+ s left",
        lines[0],
    )
    assert lines[1].endswith(", at most 0 s left")


def test_early_stopping_is_at_the_expected_epoch(undisturbed):
    model, directory = undisturbed
    losses = model.history.history["val_loss"]
    assert len(losses) == len(_history(directory)) == _LAST + 1
    assert int(np.argmin(losses)) == _LAST - _OPTIONS.patience


@pytest.mark.parametrize(
    ("epoch", "batch", "position"),
    [
        (0, 1, 0),
        (3, 1, 0),
        (3, None, 0),
        (3, None, 2),
        (_LAST, None, 0),
        (_LAST, None, 3),
    ],
    ids=[
        "in the first epoch",
        "in an epoch",
        "before the row of history.csv",
        "before the backup",
        "where early stopping has just decided",
        "after the last backup",
    ],
)
def test_resumed_training_equals_uninterrupted_training(
    train_in, undisturbed, tmp_path, epoch, batch, position
):
    expected, directory = undisturbed
    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path, _Stop(epoch, batch), position)
    _same_weights(train_in(tmp_path), expected)
    assert _history(tmp_path) == _history(directory)
    assert not (tmp_path / "backup").exists()


def test_a_training_stopped_at_its_very_end_keeps_its_weights(train_in, tmp_path):
    scores = iter([0.9, 0.5, 0.7, 0.6, 0.8])
    scripted = replace(
        participation("val_loss"), score=lambda *_: {"loss": next(scores)}
    )
    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path, _Stop(4), position=3, objective=scripted)
    with np.load(tmp_path / "backup" / "early_stopping.npz") as memory:
        best = [memory[f"weight_{n}"] for n in range(4)]
        assert memory["counts"].tolist() == [4, 3, 1]
    # A further epoch would have a better score, but training had ended.
    scores = iter([0.1])
    model = train_in(tmp_path, objective=scripted)
    for a, b in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(a, b)


def _list_by_name(monkeypatch):
    """Lists directories, also those that are removed, in the order of names."""
    scandir = os.scandir

    def listed(path):
        with scandir(path) as entries:
            return nullcontext(sorted(entries, key=lambda entry: entry.name))

    monkeypatch.setattr(os, "scandir", listed)


# The fourth of five epochs is the best; then the backup is removed.
@pytest.mark.parametrize(
    "steps", [(2, 9, 11, 12), pytest.param(range(20), marks=pytest.mark.long)]
)
def test_a_training_killed_at_a_change_of_a_name_ends_with_the_same_weights(
    train_in, tmp_path, monkeypatch, steps
):
    options = replace(_OPTIONS, epochs=5)
    expected = train_in(tmp_path / "undisturbed", options=options)
    num_kills = 0
    for step in steps:
        place = tmp_path / f"{step}"
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            _list_by_name(patch)
            try:
                train_in(place, options=options)
            except KilledError:
                num_kills += 1
        _same_weights(train_in(place, options=options), expected)
        assert _history(place) == _history(tmp_path / "undisturbed")
        assert {p.name for p in place.iterdir()} == {"history.csv", "tensorboard"}
    assert num_kills > 3


def test_a_half_written_backup_costs_nothing(train_in, undisturbed, tmp_path):
    expected, directory = undisturbed
    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path, _Stop(4), position=3)
    (tmp_path / "backup" / "next.weights.h5").write_bytes(b"half of i")
    _same_weights(train_in(tmp_path), expected)
    assert _history(tmp_path) == _history(directory)


def test_history_has_one_row_per_epoch_with_the_metrics(undisturbed):
    model, directory = undisturbed
    rows, curve = _history(directory), model.history.history
    assert [row.pop("epoch") for row in rows] == [str(n) for n in range(_LAST + 1)]
    for name, values in curve.items():
        assert [float(row[name]) for row in rows] == pytest.approx(values)
    assert all(row.keys() == curve.keys() for row in rows)


def test_new_training_in_the_same_directory_starts_a_new_history(
    train_in, undisturbed, tmp_path
):
    (tmp_path / "history.csv").write_text("epoch,loss\r\n0,1.5\r\n", "utf-8")
    train_in(tmp_path)
    assert _history(tmp_path) == _history(undisturbed[1])


def _scalars(directory, tag):
    events = EventAccumulator(str(directory))
    events.Reload()
    # Keras writes scalars as tensors.
    return {
        event.step: tf.make_ndarray(event.tensor_proto).item()
        for event in events.Tensors(tag)
    }


@pytest.mark.parametrize(
    ("part", "tag", "name"),
    [
        ("train", "epoch_loss", "loss"),
        ("validation", "epoch_loss", "val_loss"),
        ("validation", "epoch_average_precision", "val_average_precision"),
    ],
)
def test_tensorboard_shows_the_curve(undisturbed, part, tag, name):
    model, directory = undisturbed
    scalars = _scalars(directory / "tensorboard" / part, tag)
    assert scalars == pytest.approx(dict(enumerate(model.history.history[name])))


@pytest.mark.parametrize(
    "changes",
    [{"steps_per_execution": 2}, {"precision": "mixed_bfloat16"}, {"jit": True}],
    ids=["two steps at once", "bfloat16", "jit"],
)
def test_stopped_training_resumes_in_every_precision(train_in, tmp_path, changes):
    options = replace(_OPTIONS, epochs=4, clip_norm=1.0, **changes)
    expected = train_in(tmp_path / "undisturbed", options=options)
    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path / "stopped", _Stop(2), options=options)
    _same_weights(train_in(tmp_path / "stopped", options=options), expected)
    assert _history(tmp_path / "stopped") == _history(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    "changes",
    [{}, {"steps_per_execution": 2}, {"precision": "mixed_float16"}, {"jit": True}],
    ids=["plain", "two steps at once", "float16", "jit"],
)
def test_keras_checkpoints_hold_the_best_epoch(train_in, tmp_path, changes):
    options = replace(_OPTIONS, epochs=3, patience=0, **changes)
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(
        path, monitor="val_loss", save_best_only=True
    )
    model = train_in(tmp_path / "model", checkpoint, options=options)
    losses = model.history.history["val_loss"]
    assert checkpoint.best == pytest.approx(min(losses))
    saved = keras.models.load_model(path)
    # Three epochs from scratch: the last is the best.
    assert losses[-1] == min(losses)
    _same_weights(saved, model)


def test_profiler_records_the_given_steps(tiny_model, tiny_examples, tmp_path):
    train = tiny_examples(24, seed=0)
    callbacks = training_callbacks(tmp_path, profile_steps=(2, 3))
    options = replace(_OPTIONS, epochs=2, patience=0)
    objective = participation("val_loss")
    fit(tiny_model, train, train.take(np.arange(0)), objective, options, callbacks)
    [profile] = (tmp_path / "tensorboard").rglob("*.xplane.pb")
    assert profile.stat().st_size > 1000
