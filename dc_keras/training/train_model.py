"""Trains models and writes their model directories, for the command `train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import polars as pl
from sklearn.model_selection import GroupShuffleSplit

from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.cross_fit_plan import CrossFitStep, plan_steps
from dc_keras.corpus.store import write_table
from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    USER_REPRESENTATION,
)
from dc_keras.options import TrainingOptions
from dc_keras.study.pairs import Pairs, grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.training.baseline_training import baseline_examples, fit_baseline
from dc_keras.training.fit_participation import (
    FittedParticipation,
    FusedVideos,
    context_data,
    fit_participation,
)
from dc_keras.training.fusion_training import (
    deep_challenger_examples,
    fit_deep_challenger,
    sample_negatives,
)
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
    embed_sides,
    embed_videos,
    fit_proxy,
    proxy_examples,
    user_task,
)
from dc_keras.training.saved_participation import save_participation
from dc_keras.training.summaries import log_projector
from dc_keras.training.training_job import TrainingRun, users_of


def train_proxy(run: TrainingRun, kind: str, hidden_users: Sequence[str] = ()) -> Any:
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
    task = _proxy_task(run, kind, frozenset(hidden_users))
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
    pairs, recipe, seed = grid_pairs(run.grid), run.recipe, run.training.seed
    train, valid = _hold_out_users(pairs, run.training)
    hidden = users_of(run.grid, pairs, valid)
    logs = run.start_logs(config)
    steps: Sequence[CrossFitStep] = ()
    features = videos = None
    if recipe.groups:
        run.progress(f"context features of {len(pairs):,} pairs")
        data = context_data(run.grid, run.facts, run.table, hidden)
        steps = plan_steps(data.evidence, run.grid, "cold_user", train, valid, seed)
        features = ContextFeatures(data, train, steps, seed)
    if recipe.baseline is not None:
        videos = _fit_baseline(run, pairs, train, valid, logs)
    elif recipe.has_videos:
        videos = _fuse_videos(run, pairs, train, valid, steps, hidden, logs)
    fitted = fit_participation(features, recipe, videos, seed)
    _log_representations(run.grid, fitted, run.directory / "tensorboard")
    save_participation(run, fitted, videos, features, valid, hidden)
    return fitted


def _fuse_videos(
    run: TrainingRun,
    pairs: Pairs,
    train: np.ndarray,
    valid: np.ndarray,
    steps: Sequence[CrossFitStep],
    hidden: Sequence[str],
    logs: Sequence[keras.callbacks.Callback],
) -> FusedVideos:
    """Trains both proxies, and the fusion of videos on their embeddings."""
    proxies = {}
    for kind in ("challenge", "user"):
        directory = run.directory / f"{kind}_proxy"
        proxy_run = replace(run, directory=directory, sample_frames={})
        proxies[kind] = train_proxy(proxy_run, kind, hidden)
    examples = deep_challenger_examples(
        run.grid,
        run.table,
        pairs,
        embed_sides(proxies, run.table),
        run.training.class_weight,
        hidden,
    )
    crossed = fit_deep_challenger(
        examples,
        _network_rows(run, pairs, train),
        valid,
        steps,
        run.model,
        run.training,
        logs,
    )
    return FusedVideos(crossed, examples)


def _fit_baseline(
    run: TrainingRun,
    pairs: Pairs,
    train: np.ndarray,
    valid: np.ndarray,
    logs: Sequence[keras.callbacks.Callback],
) -> FusedVideos:
    """Trains a baseline of the paper."""
    variant, class_weight = run.variants["user"], run.training.class_weight
    examples = baseline_examples(
        run.grid, run.table, pairs, variant, train, class_weight
    )
    rows = _network_rows(run, pairs, train)
    return fit_baseline(examples, rows, valid, run.model, run.training, logs)


def _network_rows(run: TrainingRun, pairs: Pairs, train: np.ndarray) -> np.ndarray:
    """Returns the training pairs of networks, with sampled negatives."""
    return sample_negatives(pairs, train, run.protocol.negatives, run.training.seed)


def _proxy_task(run: TrainingRun, kind: str, hidden: frozenset[str]) -> ProxyTask:
    if kind == "challenge":
        return challenge_task(run.grid, run.table, hidden)
    visible = [u for u, name in enumerate(run.grid.users) if name not in hidden]
    return user_task(run.grid, run.table, visible)


def _hold_out_users(
    pairs: Pairs, options: TrainingOptions
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(pairs))
    if options.validation_fraction == 0:
        return rows, rows[:0]
    shuffle = GroupShuffleSplit(
        1, test_size=options.validation_fraction, random_state=options.seed
    )
    train, valid = next(shuffle.split(rows, groups=pairs.user))
    return train, valid


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
