"""Trains a model for keeps and writes its model directory: what `train` calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import polars as pl
from sklearn.model_selection import GroupShuffleSplit

from dc_keras.corpus.pairs import Pairs, grid_pairs
from dc_keras.corpus.privacy import post_code
from dc_keras.corpus.store import write_table
from dc_keras.corpus.study import Grid
from dc_keras.models.config import ModelOptions, ProtocolOptions, TrainingOptions
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    USER_REPRESENTATION,
)
from dc_keras.training.callbacks import training_callbacks
from dc_keras.training.data import Examples, FeatureTable
from dc_keras.training.loop import predict
from dc_keras.training.model_directory import (
    claim_directory,
    load_model,
    save_model,
)
from dc_keras.training.participation import (
    deep_challenger_examples,
    fit_deep_challenger,
    sample_negatives,
)
from dc_keras.training.proxies import (
    ProxyTask,
    Variant,
    challenge_task,
    embed_videos,
    fit_proxy,
    proxy_examples,
    side_variants,
    user_task,
    visible_support,
)
from dc_keras.training.summaries import (
    log_config,
    log_frames,
    log_pr_curve,
    log_projector,
)

CHALLENGES_FILE = "challenges.npz"


@dataclass(frozen=True)
class TrainingRun:
    """Data, options and place of a training.

    Attributes:
        grid: users, challenges, labels, and the videos that each side may see.
        table: cached features.
        model: shape of the models.
        training: how they are fitted.
        protocol: which videos and pairs they see.
        directory: the model directory.
        profile_steps: first and last step for TensorFlow's profiler, of each model.
        sample_frames: by name, uint8 RGB (num_frames, height, width, 3), pictures for
            TensorBoard.
        key_fingerprint: of the corpus's pseudonyms, to remember posts by keyed codes;
            None remembers none.
        overwrite: whether a training of other settings in the directory is replaced.
    """

    grid: Grid
    table: FeatureTable
    model: ModelOptions
    training: TrainingOptions
    protocol: ProtocolOptions
    directory: Path
    profile_steps: tuple[int, int] | None = None
    sample_frames: Mapping[str, np.ndarray] = field(default_factory=dict)
    key_fingerprint: str | None = None
    overwrite: bool = False

    def config(self, task: str, variants: dict[str, Variant]) -> dict[str, Any]:
        """Returns every resolved choice, as plain values."""
        caption = self.table.caption_spec
        sides = {}
        for side, variant in variants.items():
            vision = self.table.vision[variant.vision] if variant.vision else None
            sides[side] = {
                "vision": dict(vision.spec) if vision else None,
                "sampling": dict(vision.sampling) if vision else None,
                "text": dict(caption) if variant.use_text and caption else None,
            }
        return {
            "task": task,
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
            "protocol": self.protocol.to_dict(),
            "study": dict(self.grid.settings),
            "grid_sha256": self.grid.sha256,
            "sides": sides,
        }

    def start_logs(self, config: dict[str, Any]) -> list[keras.callbacks.Callback]:
        """Writes what is known before training, and returns its callbacks."""
        logs = self.directory / "tensorboard"
        log_config(logs, config)
        if self.sample_frames:
            log_frames(logs, self.sample_frames)
        return training_callbacks(self.directory, _hparams(config), self.profile_steps)


def _hparams(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the single values of a configuration, by the names of their flags."""
    values = {"task": config["task"], "grid": config["grid_sha256"][:8]}
    for options in ("model", "training", "protocol"):
        values |= config[options]
    for side, sees in config["sides"].items():
        for kind in ("vision", "text"):
            values[f"{side}_{kind}"] = (sees[kind] or {}).get("name", "none")
    return values


def train_proxy(run: TrainingRun, kind: str, hidden_users: Sequence[str] = ()) -> Any:
    """Trains a proxy on every video it may see, but for the validation part.

    Args:
        run: data, options, place.
        kind: `challenge` or `user`.
        hidden_users: users kept as newcomers for the validation of a later stage.

    Returns:
        The fitted model and what it sees of a video.
    """
    variant = side_variants(run.table)[kind]
    config = run.config(kind, {kind: variant})
    # A stopped participation training finds its finished proxies here.
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


def train_participation(run: TrainingRun) -> keras.Model:
    """Trains both proxies and the fusion model on every pair, but for validation users.

    The directory also gets `challenge_proxy/` and `user_proxy/`, model directories of
    their own, and `challenges.npz`: the embedded support videos of each challenge,
    float32 (num_challenges, num_videos, dim), from which a bundle makes its table. The
    configuration gets `describing_posts`, the code of each of them.
    """
    config = run.config("participation", side_variants(run.table))
    if claim_directory(run.directory, config, overwrite=run.overwrite):
        return load_model(run.directory)[0]
    pairs = grid_pairs(run.grid)
    train, valid = _hold_out_users(pairs, run.training)
    hidden = _users_of(run.grid, pairs, valid)
    proxies = {}
    for kind in ("challenge", "user"):
        place = run.directory / f"{kind}_proxy"
        part = replace(run, directory=place, sample_frames={})
        proxies[kind] = train_proxy(part, kind, hidden)
    examples = deep_challenger_examples(
        run.grid,
        run.table,
        pairs,
        proxies,
        run.training.class_weight,
        hidden,
    )
    seed = run.training.seed
    model = fit_deep_challenger(
        examples,
        sample_negatives(pairs, train, run.protocol.negatives, seed),
        valid,
        run.model,
        run.training,
        run.start_logs(config),
    )
    _save_pair_predictions(run, model, examples.take(valid), pairs, valid)
    _log_representations(run.grid, model, examples, run.directory / "tensorboard")
    _save_challenges(run.directory, examples)
    challenges = {
        "challenges": list(run.grid.challenges),
        "describing_posts": _describing_posts(run, hidden),
    }
    save_model(run.directory, model, {**config, **challenges})
    return model


def _describing_posts(run: TrainingRun, hidden: Sequence[str]) -> dict[str, list[str]]:
    """Returns, by challenge, codes of the posts in `challenges.npz`, in its order."""
    key = run.key_fingerprint
    if key is None:
        return {}
    most = run.grid.settings["support_max"]
    return {
        name: [
            post_code(key, video)
            for video in visible_support(run.grid, challenge, hidden)[:most]
        ]
        for challenge, name in enumerate(run.grid.challenges)
    }


def _users_of(grid: Grid, pairs: Pairs, rows: np.ndarray) -> list[str]:
    return [grid.users[user] for user in np.unique(pairs.user[rows])]


def _proxy_task(run: TrainingRun, kind: str, hidden: frozenset[str]) -> ProxyTask:
    if kind == "challenge":
        return challenge_task(run.grid, run.table, hidden)
    visible = [u for u, name in enumerate(run.grid.users) if name not in hidden]
    return user_task(run.grid, run.table, visible)


def _hold_out_users(
    pairs: Pairs, options: TrainingOptions
) -> tuple[np.ndarray, np.ndarray]:
    everything = np.arange(len(pairs))
    if options.validation_fraction == 0:
        return everything, everything[:0]
    shuffle = GroupShuffleSplit(
        1, test_size=options.validation_fraction, random_state=options.seed
    )
    train, valid = next(shuffle.split(everything, groups=pairs.user))
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


def _save_pair_predictions(
    run: TrainingRun,
    model: keras.Model,
    examples: Examples,
    pairs: Pairs,
    valid: np.ndarray,
) -> None:
    scores = predict(model, examples) if len(valid) else np.zeros(0)
    if len(valid):
        log_pr_curve(run.directory / "tensorboard", examples.labels, scores)
    grid = run.grid
    predictions = pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in pairs.user[valid]],
            "challenge": [grid.challenges[c] for c in pairs.challenge[valid]],
            "label": examples.labels,
            "score": scores,
        }
    )
    write_table(run.directory / "predictions.parquet", predictions)


def _log_representations(
    grid: Grid, model: keras.Model, examples: Examples, logs: Path
) -> None:
    sides = (
        ("challenge", CHALLENGE_REPRESENTATION, grid.challenges),
        ("user", USER_REPRESENTATION, grid.users),
    )
    for side, layer, labels in sides:
        vectors = model.get_layer(layer)(
            examples.tables[side], examples.tables[f"{side}_valid"]
        )
        log_projector(logs, layer, np.asarray(vectors), labels)


def _save_challenges(directory: Path, examples: Examples) -> None:
    temporary = directory / "tmp-challenges.npz"
    np.savez(
        temporary,
        values=examples.tables["challenge"].numpy(),
        valid=examples.tables["challenge_valid"].numpy(),
    )
    temporary.replace(directory / CHALLENGES_FILE)
