"""Trains models and writes their model directories, for the command `train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import polars as pl

from dc_keras.corpus.store import write_table
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    USER_REPRESENTATION,
)
from dc_keras.options import ProtocolOptions
from dc_keras.training.callbacks import EpochLines, training_callbacks
from dc_keras.training.fold import FoldData
from dc_keras.training.fold_fitting import FoldFitting
from dc_keras.training.loop import predict
from dc_keras.training.model_directory import (
    claim_directory,
    load_model,
    save_model,
)
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    embed_videos,
    fit_proxy,
    proxy_examples,
    side_variants,
)
from dc_keras.training.recipe import Recipe
from dc_keras.training.summaries import log_config, log_frames, log_projector
from dc_keras.training.trained_participation import (
    TrainedParticipation,
    describe_training,
    write_participation,
)

# The network of each task, in the lines about epochs.
_NAMES = {
    "challenge": "challenge proxy",
    "user": "user proxy",
    "participation": "fusion of videos",
}


@dataclass(frozen=True)
class TrainingRun:
    """A training and its output directory.

    Attributes:
        data: the training and validation pairs, and their videos.
        recipe: inputs and options of the model; proxies have the same options.
        protocol: selection of the training data.
        directory: the model directory.
        profile_steps: first and last step for TensorFlow's profiler, for each model.
        sample_frames: frames for TensorBoard, uint8 RGB (num_frames, height, width, 3)
            by name.
        overwrite: whether to replace a model with other settings in the directory.
        progress: called with a line about each epoch.
    """

    data: FoldData
    recipe: Recipe
    protocol: ProtocolOptions
    directory: Path
    profile_steps: tuple[int, int] | None = None
    sample_frames: Mapping[str, np.ndarray] = field(default_factory=dict)
    overwrite: bool = False
    progress: Callable[[str], None] = lambda _: None

    def start_logs(self, config: Mapping[str, Any]) -> list[keras.callbacks.Callback]:
        """Writes configuration and frames for TensorBoard, and returns callbacks."""
        logs = self.directory / "tensorboard"
        log_config(logs, config)
        if self.sample_frames:
            log_frames(logs, self.sample_frames)
        callbacks = training_callbacks(
            self.directory, _hparams(config), self.profile_steps
        )
        name = self.recipe.baseline or _NAMES[config["task"]]
        return [*callbacks, EpochLines(name, self.progress)]


def train_proxy(run: TrainingRun, kind: str) -> keras.Model:
    """Trains a proxy, "challenge" or "user", on its videos but the validation part.

    Videos of users whose pairs validate are not used.
    """
    table, training = run.data.table, run.recipe.training
    variant = side_variants(table)[kind]
    config = describe_training(run.data, run.recipe, run.protocol, kind)
    # A resumed training of a participation model uses its finished proxies.
    if claim_directory(run.directory, config, overwrite=run.overwrite):
        return load_model(run.directory)[0]
    task = run.data.video_task(kind)
    rows = np.random.default_rng(training.seed).permutation(len(task.labels))
    held_out = int(training.validation_fraction * len(rows))
    valid, train = np.sort(rows[:held_out]), np.sort(rows[held_out:])
    model = fit_proxy(
        task,
        train,
        valid,
        table,
        variant,
        run.recipe.model,
        training,
        run.start_logs(config),
    )
    _save_proxy_predictions(run, model, task, valid, variant)
    save_model(run.directory, model, {**config, "classes": list(task.classes)})
    return model


def train_participation(run: TrainingRun) -> TrainedParticipation | None:
    """Trains a participation model on all pairs except those of validation users.

    Beside the files of every model, the directory gets `challenge_proxy/` and
    `user_proxy/`, model directories, for a fusion of videos; `context.npz`, the context
    model; and `challenges.npz`, the posts of each challenge (see `SavedParticipation`),
    whose codes are `describing_posts` of the configuration.

    Returns:
        The fitted model; None if the directory already has the finished model.

    Raises:
        DataError: if the features do not have the variant of the baseline, or the
            directory has a model with other settings and `run.overwrite` is False.
    """
    data, recipe, protocol = run.data, run.recipe, run.protocol
    config = describe_training(data, recipe, protocol, "participation")
    if claim_directory(run.directory, config, overwrite=run.overwrite):
        return None
    proxies, logs = {}, run.start_logs(config)
    if recipe.has_videos and recipe.baseline is None:
        for kind in ("challenge", "user"):
            directory = run.directory / f"{kind}_proxy"
            proxy_run = replace(run, directory=directory, sample_frames={})
            proxies[kind] = train_proxy(proxy_run, kind)
    if recipe.groups:
        run.progress(f"context features of {len(data.pairs):,} pairs")
    fitting = FoldFitting(
        data, (recipe,), protocol, recipe.training, proxies=proxies, callbacks=logs
    )
    fitted = fitting.fit(recipe)
    _log_representations(fitted, run.directory / "tensorboard")
    write_participation(run.directory, fitted)
    return fitted


def _save_proxy_predictions(
    run: TrainingRun,
    model: keras.Model,
    task: ProxyTask,
    valid: np.ndarray,
    variant: Variant,
) -> None:
    table = run.data.table
    examples = proxy_examples(task, table, variant).take(valid)
    predicted = predict(model, examples).argmax(axis=1) if len(valid) else valid
    predictions = pl.DataFrame(
        {
            "video_id": [table.video_ids[r] for r in task.rows[valid]],
            "label": [task.classes[c] for c in task.labels[valid]],
            "predicted": [task.classes[c] for c in predicted],
        },
        schema=dict.fromkeys(("video_id", "label", "predicted"), pl.String),
    )
    write_table(run.directory / "predictions.parquet", predictions)
    vectors = embed_videos(model, table, variant)[task.rows]
    labels = [task.classes[c] for c in task.labels]
    log_projector(run.directory / "tensorboard", f"{task.kind}_videos", vectors, labels)


def _log_representations(fitted: TrainedParticipation, logs: Path) -> None:
    of_user, of_challenge = fitted.model.video_widths
    if of_user:
        users, challenges = fitted.users[:, :of_user], fitted.challenges
        log_projector(
            logs,
            CHALLENGE_REPRESENTATION,
            challenges[:, :of_challenge],
            fitted.data.grid.challenges,
        )
        log_projector(logs, USER_REPRESENTATION, users, fitted.data.grid.users)


def _hparams(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a configuration by flag name, for TensorBoard's HParams."""
    values = {"task": config["task"], "grid": config["grid_sha256"][:8]}
    for options in ("model", "training", "protocol"):
        values |= config[options]
    for side, encoders in config["sides"].items():
        for kind in ("vision", "text"):
            values[f"{side}_{kind}"] = (encoders[kind] or {}).get("name", "none")
    return values
