"""Fits the fusion of videos (section IV-C)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.cross_fit_plan import CrossFitStep
from dc_keras.context.set_vectors import gather_rows
from dc_keras.features import Features
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.options import ModelOptions, TrainingOptions, num_negatives
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.training.cross_fitting import FusedVideos, cross_fit
from dc_keras.training.dataset import Examples
from dc_keras.training.objectives import participation
from dc_keras.training.proxy_training import (
    Variant,
    visible_support,
)


@dataclass(frozen=True)
class VideoSets:
    """Sets of video embeddings, padded with zeros at the end.

    Attributes:
        values: float32 (num_sets, num_videos, dim).
        valid: bool (num_sets, num_videos).
    """

    values: np.ndarray
    valid: np.ndarray


def gather_sets(
    embeddings: np.ndarray, row_sets: Sequence[np.ndarray], size: int
) -> VideoSets:
    """Returns padded sets of video embeddings.

    Args:
        embeddings: float32 (num_videos, dim).
        row_sets: rows of `embeddings` for each set; only the first `size` are used.
        size: number of videos per set.
    """
    return VideoSets(*gather_rows(embeddings, row_sets, size))


def user_sets(
    grid: Grid, table: Features, embeddings: np.ndarray, history_max: int
) -> VideoSets:
    """Returns the video embeddings of each user's history, the inputs of eq. (2)."""
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
    """Returns the video embeddings of each challenge's support, the inputs of eq. (1).

    Args:
        grid: the challenges and their support.
        table: features, which give the rows of the videos.
        embeddings: float32 (num_videos, dim).
        support_max: maximum number of videos per challenge.
        hidden_users: users whose videos are left out.
        size: number of videos per set; None uses that of the largest set, at most
            `support_max`.
    """
    count = range(len(grid.challenges))
    rows = [table.rows(visible_support(grid, c, hidden_users)) for c in count]
    if size is None:
        size = max(1, min(support_max, max(len(r) for r in rows)))
    return gather_sets(embeddings, rows, size)


def pair_examples(
    pairs: Pairs, challenges: VideoSets, users: VideoSets, class_weight: str = "none"
) -> Examples:
    """Returns pairs as inputs of deepChallenger.

    Args:
        pairs: the pairs.
        challenges: the video embeddings of all challenges.
        users: the video embeddings of all users.
        class_weight: see `label_weights`.
    """
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
    embedded: Mapping[str, np.ndarray],
    class_weight: str,
    hidden_users: Collection[str] = (),
    support_size: int | None = None,
) -> Examples:
    """Returns pairs with embedded videos, the inputs of the fusion.

    Args:
        grid: users, challenges, and the videos of each side.
        table: features of the videos.
        pairs: all pairs.
        embedded: embeddings of all videos by side; see `embed_sides`.
        class_weight: see `label_weights`.
        hidden_users: users whose videos must not describe a challenge.
        support_size: number of videos per challenge; None uses that of the challenge
            with most videos.
    """
    history_max = grid.settings["history_max"]
    support_max = grid.settings["support_max"]
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
    """Returns the weights of pairs, float32 (num_pairs,), with mean 1.

    Args:
        labels: 0/1 (num_pairs,).
        class_weight: "balanced" for the same total weight of both labels, or "none" for
            equal weights of all pairs.
    """
    if class_weight == "none":
        return np.ones(len(labels), np.float32)
    counts = np.bincount(labels, minlength=2)
    per_class = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.asarray(per_class[labels], np.float32)


def weigh_training(
    examples: Examples, rows: np.ndarray, options: TrainingOptions
) -> Examples:
    """Computes the weights of training rows from their labels only."""
    weights = examples.weights.copy()
    weights[rows] = label_weights(examples.labels[rows], options.class_weight)
    return replace(examples, weights=weights)


def sample_negatives(
    pairs: Pairs, rows: np.ndarray, rule: str, seed: int
) -> np.ndarray:
    """Returns the training pairs with a sample of the negatives.

    Args:
        pairs: all pairs.
        rows: positions of the training pairs.
        rule: "all", or "K:1" for K random negatives per positive, without replacement.
        seed: seed of the sample.

    Returns:
        Sorted positions of pairs.

    Raises:
        DataError: if the rule is neither.
    """
    count = num_negatives(rule)
    if count is None:
        return rows
    positive = rows[pairs.label[rows] == 1]
    negative = rows[pairs.label[rows] == 0]
    size = min(len(negative), count * len(positive))
    sample = np.random.default_rng(seed).choice(negative, size, replace=False)
    return np.sort(np.concatenate([positive, sample]))


def fit_deep_challenger(
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    steps: Sequence[CrossFitStep],
    model_options: ModelOptions,
    training_options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> FusedVideos:
    """Fits the fusion of videos and its copies; see `cross_fit`.

    Args:
        examples: all pairs, made by `pair_examples`.
        train: positions of the training pairs.
        valid: positions of the pairs for early stopping.
        steps: the cross-fitting plan; empty for no copies.
        model_options: architecture of the model.
        training_options: training options.
        callbacks: Keras callbacks.
    """
    sizes, options = pair_sizes(examples), model_options.to_dict()
    return cross_fit(
        lambda count: DeepChallenger(**sizes, copies=count, **options),
        weigh_training(examples, train, training_options),
        train,
        valid,
        steps,
        participation(training_options.monitor),
        training_options,
        callbacks,
    )


def pair_sizes(examples: Examples) -> dict[str, Any]:
    """Returns the sizes of a `DeepChallenger` for pairs of `pair_examples`."""
    _, support_max, challenge_dim = examples.tables["challenge"].shape
    _, history_max, user_dim = examples.tables["user"].shape
    return {
        "support_max": support_max,
        "challenge_dim": challenge_dim,
        "history_max": history_max,
        "user_dim": user_dim,
    }


def video_vectors(table: Features, variant: Variant) -> np.ndarray:
    """Returns the mean frame embedding and the caption embedding of each video.

    Returns:
        float32 (num_videos, frame_dim + caption_dim), concatenated.
    """
    parts = []
    if variant.vision is not None:
        parts.append(table.vision[variant.vision].mean_frames)
    if variant.use_text and table.captions is not None:
        parts.append(table.captions)
    return np.concatenate(parts, axis=1)
