"""Fits the networks that score pairs: the fusion of videos and the paper's baselines.

Sections IV-C and V-A.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.cross_fit_plan import CrossFitStep
from dc_keras.context.set_vectors import gather_rows
from dc_keras.features import Features
from dc_keras.models.deep_challenger import USER_REPRESENTATION, DeepChallenger
from dc_keras.models.paper_baselines import POOL_VIDEOS, UserBaseline
from dc_keras.models.pooling import standardizer
from dc_keras.options import ModelOptions, TrainingOptions, num_negatives
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.training.cross_fitting import FusedVideos, cross_fit
from dc_keras.training.dataset import Examples
from dc_keras.training.fold import FoldData
from dc_keras.training.loop import fit
from dc_keras.training.objectives import participation
from dc_keras.training.proxy_training import Variant, moments, visible_support

# Sets of video embeddings: float32 (num_sets, num_videos, dim), zero where padded, and
# bool (num_sets, num_videos), False where padded.
VideoSets = tuple[np.ndarray, np.ndarray]
# Batch size in users or challenges.
_CHUNK = 1024


def user_sets(
    grid: Grid, table: Features, embeddings: np.ndarray, history_max: int
) -> VideoSets:
    """Returns the video embeddings of each user's history, the inputs of eq. (2)."""
    rows = [table.rows(history) for history in grid.histories]
    return gather_rows(embeddings, rows, history_max)


def challenge_sets(
    grid: Grid,
    table: Features,
    embeddings: np.ndarray,
    hidden_users: Collection[str] = (),
    size: int | None = None,
) -> VideoSets:
    """Returns the video embeddings of each challenge's support, the inputs of eq. (1).

    Args:
        grid: the challenges and their support.
        table: features, which give the rows of the videos.
        embeddings: float32 (num_videos, dim).
        hidden_users: users whose videos are left out.
        size: number of videos per set; None for that of the largest set, at most
            `support_max` of the grid.
    """
    count = range(len(grid.challenges))
    rows = [table.rows(visible_support(grid, c, hidden_users)) for c in count]
    if size is None:
        size = max(1, min(grid.settings["support_max"], max(map(len, rows))))
    return gather_rows(embeddings, rows, size)


def pair_examples(pairs: Pairs, tables: Mapping[str, Any]) -> Examples:
    """Returns pairs as inputs of a network, with equal weights.

    Args:
        pairs: the pairs.
        tables: arrays by the name of the input, with a row for each challenge where the
            name starts with "challenge", and for each user otherwise.
    """
    index = {
        name: pairs.challenge if name.startswith("challenge") else pairs.user
        for name in tables
    }
    tensors = {name: tf.convert_to_tensor(table) for name, table in tables.items()}
    return Examples(tensors, index, pairs.label, np.ones(len(pairs), np.float32))


def deep_challenger_examples(
    data: FoldData, embedded: Mapping[str, np.ndarray], support_size: int | None = None
) -> Examples:
    """Returns the pairs of a fold with embedded videos, the inputs of the fusion.

    `embedded` has the embeddings of all videos by side; see `embed_sides`. For
    `support_size` see `challenge_sets`.
    """
    grid, table = data.grid, data.table
    challenges, challenge_valid = challenge_sets(
        grid, table, embedded["challenge"], data.fold.hidden_users, support_size
    )
    users, user_valid = user_sets(
        grid, table, embedded["user"], grid.settings["history_max"]
    )
    tables = {
        "challenge": challenges,
        "challenge_valid": challenge_valid,
        "user": users,
        "user_valid": user_valid,
    }
    return pair_examples(data.pairs, tables)


def baseline_examples(data: FoldData, variant: Variant) -> Examples:
    """Returns the pairs of a fold as inputs of one of the paper's baselines."""
    grid, vectors = data.grid, video_vectors(data.table, variant)
    users, user_valid = user_sets(
        grid, data.table, vectors, grid.settings["history_max"]
    )
    challenges = _one_hot_challenges(grid, data.pairs, data.fold.train)
    tables = {"user": users, "user_valid": user_valid, "challenge": challenges}
    return pair_examples(data.pairs, tables)


def _one_hot_challenges(grid: Grid, pairs: Pairs, train: np.ndarray) -> np.ndarray:
    """Returns x^c of all challenges, float32 (num_challenges, num_names).

    The columns of a grid of several cutoffs share the sigmoid of their name. A
    challenge without training pairs, whose sigmoid was never trained, has the mean over
    the others, as unknown names have in a bundle.
    """
    names = list(dict.fromkeys(grid.challenges))
    column = np.array([names.index(name) for name in grid.challenges])
    trained = np.unique(column[pairs.challenge[train]])
    vectors = np.eye(len(names), dtype=np.float32)
    mean = vectors[trained].mean(axis=0)
    vectors[np.setdiff1d(column, trained)] = mean
    return np.asarray(vectors[column])


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


def _weigh(examples: Examples, train: np.ndarray, class_weight: str) -> Examples:
    """Weighs pairs by their labels, training pairs among themselves."""
    weights = label_weights(examples.labels, class_weight)
    weights[train] = label_weights(examples.labels[train], class_weight)
    return replace(examples, weights=weights)


def sample_negatives(
    pairs: Pairs, rows: np.ndarray, rule: str, seed: int
) -> np.ndarray:
    """Returns sorted positions of the training pairs with a sample of the negatives.

    Args:
        pairs: all pairs.
        rows: positions of the training pairs.
        rule: "all", or "K:1" for K random negatives per positive, without replacement.
        seed: seed of the sample.

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
    """Fits the fusion of videos and its copies; see `cross_fit` for the arguments."""
    sizes, options = pair_sizes(examples), model_options.to_dict()
    return cross_fit(
        lambda count: DeepChallenger(**sizes, copies=count, **options),
        _weigh(examples, train, training_options.class_weight),
        train,
        valid,
        steps,
        participation(training_options.monitor),
        training_options,
        callbacks,
    )


def fit_baseline(
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    model_options: ModelOptions,
    training_options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> FusedVideos:
    """Fits one of the paper's baselines; arguments as of `fit_deep_challenger`."""
    _, history_max, dim = examples.tables["user"].shape
    num_challenges = examples.tables["challenge"].shape[1]

    def build() -> keras.Model:
        model = UserBaseline(
            history_max, dim, num_challenges, **model_options.to_dict()
        )
        network = model.get_layer(USER_REPRESENTATION)
        standardize = standardizer(network, POOL_VIDEOS)
        if standardize is not None:
            users = np.unique(examples.index["user"][train])
            values = examples.tables["user"].numpy()[users]
            valid_videos = examples.tables["user_valid"].numpy()[users]
            standardize.set_moments(*moments([values[valid_videos]]))
        return model

    examples = _weigh(examples, train, training_options.class_weight)
    model = fit(
        build,
        examples.take(train),
        examples.take(valid),
        participation(training_options.monitor),
        training_options,
        callbacks,
    )
    # Nothing is fitted on its probabilities, so there are no copies out of fold.
    return FusedVideos(model, examples)


def pair_sizes(examples: Examples) -> dict[str, Any]:
    """Returns the sizes of a `DeepChallenger` for `deep_challenger_examples`."""
    _, support_max, challenge_dim = examples.tables["challenge"].shape
    _, history_max, user_dim = examples.tables["user"].shape
    return {
        "support_max": support_max,
        "challenge_dim": challenge_dim,
        "history_max": history_max,
        "user_dim": user_dim,
    }


def represent(fusion: keras.Model, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Returns x^u of all users and x^c of all challenges, eqs. (2) and (1).

    Args:
        fusion: the fusion of videos, or a baseline of the paper.
        examples: its pairs.
    """
    tables = examples.tables
    users = _in_chunks(fusion.represent_users, tables["user"], tables["user_valid"])
    if not isinstance(fusion, DeepChallenger):
        return users, tables["challenge"].numpy()
    videos = (tables["challenge"], tables["challenge_valid"])
    return users, _in_chunks(fusion.represent_challenges, *videos)


def _in_chunks(
    represent_sets: Callable[..., tf.Tensor], videos: tf.Tensor, valid: tf.Tensor
) -> np.ndarray:
    parts = [
        np.asarray(represent_sets(videos[s : s + _CHUNK], valid[s : s + _CHUNK]))
        for s in range(0, len(videos), _CHUNK)
    ]
    return np.concatenate(parts)


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
