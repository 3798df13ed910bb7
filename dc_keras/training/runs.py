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

from dc_keras.context.facts import PostFacts
from dc_keras.context.fitting import ContextFeatures
from dc_keras.context.folds import Step, plan_steps
from dc_keras.context.model import ContextModel
from dc_keras.corpus.pairs import Pairs, grid_pairs
from dc_keras.corpus.privacy import post_code
from dc_keras.corpus.store import write_table
from dc_keras.corpus.study import Grid
from dc_keras.errors import DataError
from dc_keras.models.config import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    USER_REPRESENTATION,
)
from dc_keras.training.callbacks import training_callbacks
from dc_keras.training.data import FeatureTable
from dc_keras.training.fit_participation import (
    FittedParticipation,
    FusedVideos,
    context_data,
    fit_participation,
)
from dc_keras.training.loop import predict
from dc_keras.training.model_directory import load_model, read_config, save_model
from dc_keras.training.participation import (
    deep_challenger_examples,
    fit_deep_challenger,
    sample_negatives,
)
from dc_keras.training.participation_model import ParticipationModel
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
from dc_keras.training.recipe import Recipe, parse_groups
from dc_keras.training.summaries import (
    log_config,
    log_frames,
    log_pr_curve,
    log_projector,
)

CHALLENGES_FILE = "challenges.npz"
CONTEXT_FILE = "context.npz"


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
        facts: facts of the posts, for a participation model with context.
        context: what a participation model sees beside the videos.
        profile_steps: first and last step for TensorFlow's profiler, of each model.
        sample_frames: by name, uint8 RGB (num_frames, height, width, 3), pictures for
            TensorBoard.
        key_fingerprint: of the corpus's pseudonyms, to remember posts by keyed codes;
            None remembers none.
    """

    grid: Grid
    table: FeatureTable
    model: ModelOptions
    training: TrainingOptions
    protocol: ProtocolOptions
    directory: Path
    facts: PostFacts | None = None
    context: ContextOptions = field(default_factory=ContextOptions)
    profile_steps: tuple[int, int] | None = None
    sample_frames: Mapping[str, np.ndarray] = field(default_factory=dict)
    key_fingerprint: str | None = None

    @property
    def recipe(self) -> Recipe:
        """What a participation model sees and how it is fitted."""
        return Recipe.of(self.model, self.training, self.context)

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
            "context": self.context.to_dict(),
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
    if (run.directory / "config.json").exists():
        model, found = load_model(run.directory)
        if {k: found.get(k) for k in config} == config:
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


def train_participation(run: TrainingRun) -> FittedParticipation:
    """Trains the participation model on every pair, but for validation users.

    The directory also gets, for a model that sees videos, `challenge_proxy/` and
    `user_proxy/`, model directories of their own; `context.npz`, the context model; and
    `challenges.npz`, from which a bundle makes its table: the embedded posts of each
    challenge, `posts` float32 (num_challenges, num_posts, width), `valid` bool
    (num_challenges, num_posts), and `vectors` (num_challenges, challenge_width). The
    configuration gets `describing_posts`, the code of each post.
    """
    if run.facts is None:
        raise DataError("a participation model needs facts of posts. Received: None")
    pairs, recipe, seed = grid_pairs(run.grid), run.recipe, run.training.seed
    train, valid = _hold_out_users(pairs, run.training)
    hidden = _users_of(run.grid, pairs, valid)
    data = context_data(run.grid, run.facts, run.table, hidden)
    steps = plan_steps(data.evidence, run.grid, "cold_user", train, valid, seed)
    logs = run.start_logs(run.config("participation", side_variants(run.table)))
    videos = None
    if recipe.has_videos:
        videos = _fuse_videos(run, pairs, train, valid, steps, hidden, logs)
    features = None
    if recipe.groups:
        features = ContextFeatures(data, train, steps, seed)
    fitted = fit_participation(features, recipe, videos, seed)
    _log_representations(run.grid, fitted, run.directory / "tensorboard")
    save_participation(run, fitted, videos, features, valid)
    return fitted


def save_participation(
    run: TrainingRun,
    fitted: FittedParticipation,
    videos: FusedVideos | None,
    features: ContextFeatures | None,
    valid: np.ndarray,
) -> None:
    """Writes a fitted model but for its proxies; see `train_participation`.

    Args:
        run: data, options and place.
        fitted: the model.
        videos: what its fusion was fitted on, or None.
        features: what its context was fitted on, or None.
        valid: positions of the validation pairs.
    """
    pairs = grid_pairs(run.grid)
    hidden = _users_of(run.grid, pairs, valid)
    run.directory.mkdir(parents=True, exist_ok=True)
    _save_pair_predictions(run, fitted, pairs, valid)
    _save_challenges(run.directory, fitted, videos, features)
    if fitted.model.context is not None:
        fitted.model.context.save(run.directory / CONTEXT_FILE)
    config = {
        **run.config("participation", side_variants(run.table)),
        "challenges": list(run.grid.challenges),
        "describing_posts": _describing_posts(run, hidden),
    }
    save_model(run.directory, fitted.model.fusion, config)


def load_participation(
    directory: Path,
) -> tuple[ParticipationModel, dict[str, Any]]:
    """Reads what `train_participation` left in a directory: model, configuration.

    Raises:
        DataError: it holds another kind of model, or training never came to its end.
    """
    config = read_config(directory)
    if config["task"] != "participation":
        raise DataError(
            f"{directory} holds a model of --task={config['task']}; a bundle needs one "
            "of --task=participation"
        )
    context = ContextOptions.from_dict(config["context"])
    has_context = bool(parse_groups(context.context))
    return ParticipationModel(
        load_model(directory)[0] if context.videos else None,
        ContextModel.load(directory / CONTEXT_FILE) if has_context else None,
    ), config


def _fuse_videos(
    run: TrainingRun,
    pairs: Pairs,
    train: np.ndarray,
    valid: np.ndarray,
    steps: Sequence[Step],
    hidden: Sequence[str],
    logs: Sequence[keras.callbacks.Callback],
) -> FusedVideos:
    """Trains both proxies, and the fusion of videos on what they say."""
    proxies = {}
    for kind in ("challenge", "user"):
        place = run.directory / f"{kind}_proxy"
        part = replace(run, directory=place, sample_frames={})
        proxies[kind] = train_proxy(part, kind, hidden)
    examples = deep_challenger_examples(
        run.grid, run.table, pairs, proxies, run.training.class_weight, hidden
    )
    crossed = fit_deep_challenger(
        examples,
        sample_negatives(pairs, train, run.protocol.negatives, run.training.seed),
        valid,
        steps if run.recipe.groups else (),
        run.model,
        run.training,
        logs,
    )
    return FusedVideos(crossed, examples)


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
    run: TrainingRun, fitted: FittedParticipation, pairs: Pairs, valid: np.ndarray
) -> None:
    scores, labels = fitted.out_of_fold[valid], pairs.label[valid]
    if len(valid):
        log_pr_curve(run.directory / "tensorboard", labels, scores)
    grid = run.grid
    predictions = pl.DataFrame(
        {
            "user_id": [grid.users[u] for u in pairs.user[valid]],
            "challenge": [grid.challenges[c] for c in pairs.challenge[valid]],
            "label": labels,
            "score": scores,
        }
    )
    write_table(run.directory / "predictions.parquet", predictions)


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


def _save_challenges(
    directory: Path,
    fitted: FittedParticipation,
    videos: FusedVideos | None,
    features: ContextFeatures | None,
) -> None:
    parts = []
    if videos is not None:
        tables = videos.examples.tables
        parts.append(tables["challenge"].numpy())
        valid = tables["challenge_valid"].numpy()
    if features is not None:
        posts = features.support_posts
        sizes = [len(rows) for rows in features.data.evidence.support]
        valid = np.arange(posts.shape[1]) < np.array(sizes)[:, None]
        parts.append(posts)
    temporary = directory / f"tmp-{CHALLENGES_FILE}"
    directory.mkdir(parents=True, exist_ok=True)
    np.savez(
        temporary,
        posts=np.concatenate(parts, axis=2),
        valid=valid,
        vectors=fitted.challenges,
    )
    temporary.replace(directory / CHALLENGES_FILE)
