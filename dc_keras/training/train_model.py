"""Trains models and writes their model directories, for the command `train`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import polars as pl
from sklearn.model_selection import GroupShuffleSplit

from dc_keras.corpus.store import write_table
from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    USER_REPRESENTATION,
)
from dc_keras.options import TrainingOptions
from dc_keras.study.pairs import Pairs, grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.splits import Fold
from dc_keras.training.fit_participation import FittedParticipation
from dc_keras.training.fold_fitting import FoldData, FoldFitting
from dc_keras.training.loop import predict
from dc_keras.training.model_directory import (
    claim_directory,
    load_model,
    save_model,
)
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    challenge_task,
    embed_videos,
    fit_proxy,
    proxy_examples,
    user_task,
)
from dc_keras.training.saved_participation import save_participation
from dc_keras.training.summaries import log_projector
from dc_keras.training.training_job import TrainingRun


def train_proxy(run: TrainingRun, kind: str, hidden_users: Collection[str] = ()) -> Any:
    """Trains a proxy on all its videos except the validation part.

    Args:
        run: data, options and directory.
        kind: "challenge" or "user".
        hidden_users: users whose videos are not used, because a later stage validates
            on them.

    Returns:
        The fitted model and its input variant.
    """
    variant = run.variants[kind]
    config = run.config(kind, {kind: variant})
    # A resumed training of a participation model uses its finished proxies.
    if claim_directory(run.directory, config, overwrite=run.overwrite):
        model, _ = load_model(run.directory)
        return model, variant
    task = _proxy_task(run, kind, hidden_users)
    rows = np.random.default_rng(run.training.seed).permutation(len(task.labels))
    held_out = int(run.training.validation_fraction * len(rows))
    valid, train = np.sort(rows[:held_out]), np.sort(rows[held_out:])
    model = fit_proxy(
        task,
        train,
        valid,
        run.table,
        variant,
        run.model,
        run.training,
        run.start_logs(config),
    )
    _save_proxy_predictions(run, model, task, valid, variant)
    save_model(run.directory, model, {**config, "classes": list(task.classes)})
    return model, variant


def train_participation(run: TrainingRun) -> FittedParticipation | None:
    """Trains a participation model on all pairs except those of validation users.

    In addition to the files of every model, the directory gets

    - `challenge_proxy/` and `user_proxy/`, model directories, for a fusion of videos;
    - `context.npz`, the context model, for a model with context features;
    - `challenges.npz`, the embedded posts of each challenge, from which a bundle makes
      its table: `posts` float32 (num_challenges, num_posts, width), `valid` bool
      (num_challenges, num_posts), and `vectors` float32 (num_challenges,
      challenge_width).

    The configuration gets `describing_posts`, the codes of these posts.

    Args:
        run: data, options and directory.

    Returns:
        The fitted model; None if the directory already has the finished model.

    Raises:
        DataError: if the run has no facts of posts, the features do not have the
            variant of `run.baseline`, or the directory has a model with other settings
            and `run.overwrite` is False.
    """
    if run.facts is None:
        raise DataError("a participation model needs facts of posts. Received: None")
    config = run.config("participation", run.variants)
    if claim_directory(run.directory, config, overwrite=run.overwrite):
        return None
    pairs = grid_pairs(run.grid)
    fold = _hold_out_users(run.grid, pairs, run.training)
    data = FoldData(run.grid, pairs, run.table, run.facts, fold, seed=run.training.seed)
    recipe, proxies = run.recipe, {}
    logs = run.start_logs(config)
    if recipe.has_videos and recipe.baseline is None:
        for kind in ("challenge", "user"):
            directory = run.directory / f"{kind}_proxy"
            proxy_run = replace(run, directory=directory, sample_frames={})
            proxies[kind] = train_proxy(proxy_run, kind, fold.hidden_users)
    if recipe.groups:
        run.progress(f"context features of {len(pairs):,} pairs")
    fitting = FoldFitting(
        data, (recipe,), run.protocol, run.training, lambda _: None, proxies, logs
    )
    result = fitting.fit(recipe)
    _log_representations(run.grid, result.fitted, run.directory / "tensorboard")
    save_participation(run, result, fold)
    return result.fitted


def _proxy_task(run: TrainingRun, kind: str, hidden: Collection[str]) -> ProxyTask:
    if kind == "challenge":
        return challenge_task(run.grid, run.table, hidden)
    visible = [u for u, name in enumerate(run.grid.users) if name not in hidden]
    return user_task(run.grid, run.table, visible)


def _hold_out_users(grid: Grid, pairs: Pairs, options: TrainingOptions) -> Fold:
    """Returns a fold that validates on a share of the users and tests on none."""
    train, valid = np.arange(len(pairs)), np.arange(0)
    if options.validation_fraction > 0:
        shuffle = GroupShuffleSplit(
            1, test_size=options.validation_fraction, random_state=options.seed
        )
        train, valid = next(shuffle.split(train, groups=pairs.user))
    hidden = frozenset(grid.users[user] for user in np.unique(pairs.user[valid]))
    return Fold("cold_user", 0, train, valid, valid[:0], hidden)


def _save_proxy_predictions(
    run: TrainingRun,
    model: keras.Model,
    task: ProxyTask,
    valid: np.ndarray,
    variant: Variant,
) -> None:
    examples = proxy_examples(task, run.table, variant).take(valid)
    predicted = predict(model, examples).argmax(axis=1) if len(valid) else valid
    predictions = pl.DataFrame(
        {
            "video_id": [run.table.video_ids[r] for r in task.rows[valid]],
            "label": [task.classes[c] for c in task.labels[valid]],
            "predicted": [task.classes[c] for c in predicted],
        },
        schema=dict.fromkeys(("video_id", "label", "predicted"), pl.String),
    )
    write_table(run.directory / "predictions.parquet", predictions)
    vectors = embed_videos(model, run.table, variant)[task.rows]
    labels = [task.classes[c] for c in task.labels]
    log_projector(run.directory / "tensorboard", f"{task.kind}_videos", vectors, labels)


def _log_representations(grid: Grid, fitted: FittedParticipation, logs: Path) -> None:
    of_user, of_challenge = fitted.model.video_widths
    if of_user:
        users, challenges = fitted.users[:, :of_user], fitted.challenges
        log_projector(
            logs,
            CHALLENGE_REPRESENTATION,
            challenges[:, :of_challenge],
            grid.challenges,
        )
        log_projector(logs, USER_REPRESENTATION, users, grid.users)
