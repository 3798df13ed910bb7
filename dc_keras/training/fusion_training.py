"""Fits the participation model and the paper's baselines (sections IV-C and V-A)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.context_fitting import gather_rows
from dc_keras.context.cross_fit_plan import CrossFitStep
from dc_keras.features import Features
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.models.paper_baselines import POOL_VIDEOS, UserBaseline
from dc_keras.models.pooling import standardizer
from dc_keras.options import ModelOptions, TrainingOptions, num_negatives
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.training.cross_fitting import Crossed, fit_crossed
from dc_keras.training.dataset import Examples
from dc_keras.training.loop import fit
from dc_keras.training.objectives import participation
from dc_keras.training.proxy_training import (
    Variant,
    embed_videos,
    moments,
    visible_support,
)


@dataclass(frozen=True)
class VideoSets:
    """Sets of embedded videos, padded with zeros at the end.

    Attributes:
        values: float32 (num_sets, num_videos, dim).
        valid: bool (num_sets, num_videos).
    """

    values: np.ndarray
    valid: np.ndarray


def gather_sets(
    embeddings: np.ndarray, row_sets: Sequence[np.ndarray], size: int
) -> VideoSets:
    """Arranges video embeddings into padded sets.

    Args:
        embeddings: float32 (num_videos, dim).
        row_sets: for each set, its rows of `embeddings`, the most telling first.
        size: items a set at most; what is over it is cut.
    """
    return VideoSets(*gather_rows(embeddings, row_sets, size))


def user_sets(
    grid: Grid, table: Features, embeddings: np.ndarray, history_max: int
) -> VideoSets:
    """The learned embeddings of each panel user's history: eq. (2) before joining."""
    rows = [table.rows(history) for history in grid.histories]
    return gather_sets(embeddings, rows, history_max)


def challenge_sets(
    grid: Grid,
    table: Features,
    embeddings: np.ndarray,
    support_max: int,
    hidden_users: Collection[str] = (),
    size: int | None = None,
) -> VideoSets:
    """The learned embeddings of each challenge's support: eq. (1) before joining.

    The sets are as wide as the largest, up to `support_max`, or `size` wide.
    """
    count = range(len(grid.challenges))
    rows = [table.rows(visible_support(grid, c, hidden_users)) for c in count]
    if size is None:
        size = max(1, min(support_max, max(len(r) for r in rows)))
    return gather_sets(embeddings, rows, size)


def pair_examples(
    pairs: Pairs, challenges: VideoSets, users: VideoSets, class_weight: str = "none"
) -> Examples:
    """Returns pairs as the inputs of deepChallenger."""
    tables = {
        "challenge": tf.convert_to_tensor(challenges.values),
        "challenge_valid": tf.convert_to_tensor(challenges.valid),
        "user": tf.convert_to_tensor(users.values),
        "user_valid": tf.convert_to_tensor(users.valid),
    }
    index = {
        "challenge": pairs.challenge,
        "challenge_valid": pairs.challenge,
        "user": pairs.user,
        "user_valid": pairs.user,
    }
    return Examples(
        tables, index, pairs.label, label_weights(pairs.label, class_weight)
    )


def deep_challenger_examples(
    grid: Grid,
    table: Features,
    pairs: Pairs,
    proxies: Mapping[str, tuple[keras.Model, Variant]],
    class_weight: str,
    hidden_users: Collection[str] = (),
    support_size: int | None = None,
) -> Examples:
    """Embeds every video with the fitted proxies and arranges pairs for the fusion.

    Args:
        grid: users, challenges and the videos that each side may see.
        table: the features.
        pairs: the pairs, all of them.
        proxies: by side ("challenge", "user"), the fitted proxy and what it sees.
        class_weight: see `label_weights`.
        hidden_users: users whose videos must not describe a challenge.
        support_size: width of the challenges' sets, where a fitted fusion asks for it.
    """
    history_max = grid.settings["history_max"]
    support_max = grid.settings["support_max"]
    embedded = {
        side: embed_videos(model, table, variant)
        for side, (model, variant) in proxies.items()
    }
    challenges = challenge_sets(
        grid,
        table,
        embedded["challenge"],
        support_max,
        hidden_users,
        support_size,
    )
    users = user_sets(grid, table, embedded["user"], history_max)
    return pair_examples(pairs, challenges, users, class_weight)


def label_weights(labels: np.ndarray, class_weight: str) -> np.ndarray:
    """Returns a weight a pair, float32 (num_pairs,), with mean 1.

    `balanced` gives both labels the same total weight; `none` gives every pair 1.
    """
    if class_weight == "none":
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels, minlength=2)
    per_class = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.asarray(per_class[labels], np.float32)


def _weigh_training(
    examples: Examples, rows: np.ndarray, options: TrainingOptions
) -> Examples:
    """Weighs the training rows anew: only they may say what is rare."""
    weights = examples.weights.copy()
    weights[rows] = label_weights(examples.labels[rows], options.class_weight)
    return replace(examples, weights=weights)


def _training_part(
    examples: Examples, rows: np.ndarray, options: TrainingOptions
) -> Examples:
    return _weigh_training(examples, rows, options).take(rows)


def sample_negatives(
    pairs: Pairs, rows: np.ndarray, rule: str, seed: int
) -> np.ndarray:
    """Returns the training rows under a rule for negatives.

    Args:
        pairs: all pairs.
        rows: positions of the training pairs.
        rule: `all`, or `K:1` for K negatives drawn for each positive, without repeats.
        seed: seed of the draw.

    Raises:
        DataError: another rule.
    """
    count = num_negatives(rule)
    if count is None:
        return rows
    positive = rows[pairs.label[rows] == 1]
    negative = rows[pairs.label[rows] == 0]
    wanted = min(len(negative), count * len(positive))
    drawn = np.random.default_rng(seed).choice(negative, wanted, replace=False)
    return np.sort(np.concatenate([positive, drawn]))


def fit_deep_challenger(
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    steps: Sequence[CrossFitStep],
    model_options: ModelOptions,
    training_options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Crossed:
    """Fits the fusion model and its copies (`fit_crossed`).

    Args:
        examples: all pairs, of `pair_examples`.
        train: positions that the gradient sees.
        valid: positions that early stopping sees.
        steps: which pairs a copy is fitted on and scores; none for no copies.
        model_options: shape of the model.
        training_options: how it is fitted.
        callbacks: Keras callbacks.
    """
    sizes, options = pair_sizes(examples), model_options.to_dict()
    return fit_crossed(
        lambda count: DeepChallenger(**sizes, copies=count, **options),
        _weigh_training(examples, train, training_options),
        train,
        valid,
        steps,
        participation(training_options.monitor),
        training_options,
        callbacks,
    )


def pair_sizes(examples: Examples) -> dict[str, Any]:
    """Returns the sizes of `DeepChallenger` for pairs, made by `pair_examples`."""
    _, support_max, challenge_dim = examples.tables["challenge"].shape
    _, history_max, user_dim = examples.tables["user"].shape
    return {
        "support_max": support_max,
        "challenge_dim": challenge_dim,
        "history_max": history_max,
        "user_dim": user_dim,
    }


def baseline_examples(
    grid: Grid,
    table: Features,
    pairs: Pairs,
    variant: Variant,
    history_max: int,
    class_weight: str,
) -> Examples:
    """Returns pairs as the inputs of one of the paper's baselines."""
    raw = video_vectors(table, variant)
    users = user_sets(grid, table, raw, history_max)
    tables = {
        "user": tf.convert_to_tensor(users.values),
        "user_valid": tf.convert_to_tensor(users.valid),
        "challenge_one_hot": tf.eye(len(grid.challenges)),
    }
    index = {
        "user": pairs.user,
        "user_valid": pairs.user,
        "challenge_one_hot": pairs.challenge,
    }
    return Examples(
        tables, index, pairs.label, label_weights(pairs.label, class_weight)
    )


def video_vectors(table: Features, variant: Variant) -> np.ndarray:
    """Returns one raw vector a video: mean of its own frames, joined with the caption.

    Returns:
        float32 (num_videos, frame_dim + caption_dim).
    """
    parts = []
    if variant.vision is not None:
        parts.append(table.vision[variant.vision].mean_frames)
    if variant.use_text and table.captions is not None:
        parts.append(table.captions)
    return np.concatenate(parts, axis=1)


def fit_baseline(
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    model_options: ModelOptions,
    training_options: TrainingOptions,
) -> keras.Model:
    """Fits one of the paper's baselines; see `baseline_examples`."""
    _, history_max, dim = examples.tables["user"].shape
    num_challenges = examples.tables["challenge_one_hot"].shape[0]

    def build() -> keras.Model:
        model = UserBaseline(
            history_max, dim, num_challenges, **model_options.to_dict()
        )
        standardize = standardizer(model, POOL_VIDEOS)
        if standardize is not None:
            users = np.unique(examples.index["user"][train])
            values = examples.tables["user"].numpy()[users]
            valid_videos = examples.tables["user_valid"].numpy()[users]
            mean, std = moments([values[valid_videos]])
            standardize.set_moments(mean, std)
        return model

    return fit(
        build,
        _training_part(examples, train, training_options),
        examples.take(valid),
        participation(training_options.monitor),
        training_options,
    )
