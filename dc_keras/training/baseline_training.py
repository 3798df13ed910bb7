"""Fits the paper's baselines (section V-A)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from dc_keras.features import Features
from dc_keras.models.deep_challenger import USER_REPRESENTATION
from dc_keras.models.paper_baselines import POOL_VIDEOS, UserBaseline
from dc_keras.models.pooling import standardizer
from dc_keras.options import ModelOptions, TrainingOptions
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.training.cross_fitting import FusedVideos
from dc_keras.training.dataset import Examples
from dc_keras.training.fusion_training import (
    label_weights,
    user_sets,
    video_vectors,
    weigh_training,
)
from dc_keras.training.loop import fit
from dc_keras.training.objectives import participation
from dc_keras.training.proxy_training import Variant, moments


def baseline_examples(
    grid: Grid,
    table: Features,
    pairs: Pairs,
    variant: Variant,
    train: np.ndarray,
    class_weight: str,
) -> Examples:
    """Returns all pairs as inputs of one of the paper's baselines.

    Args:
        grid: users, challenges, and the histories of users.
        table: features of the videos.
        pairs: all pairs.
        variant: input variant of the baseline.
        train: positions of the training pairs.
        class_weight: see `label_weights`.
    """
    raw = video_vectors(table, variant)
    users = user_sets(grid, table, raw, grid.settings["history_max"])
    tables = {
        "user": tf.convert_to_tensor(users.values),
        "user_valid": tf.convert_to_tensor(users.valid),
        "challenge": tf.convert_to_tensor(_challenge_vectors(grid, pairs, train)),
    }
    index = {
        "user": pairs.user,
        "user_valid": pairs.user,
        "challenge": pairs.challenge,
    }
    return Examples(
        tables, index, pairs.label, label_weights(pairs.label, class_weight)
    )


def _challenge_vectors(grid: Grid, pairs: Pairs, train: np.ndarray) -> np.ndarray:
    """Returns x^c of all challenges, float32 (num_challenges, num_names).

    It is one-hot. The columns of a grid of several cutoffs share the sigmoid of their
    name. A challenge without training pairs, whose sigmoid was never trained, has the
    mean over the others, as unknown names have in a bundle.
    """
    names = list(dict.fromkeys(grid.challenges))
    column = np.array([names.index(name) for name in grid.challenges])
    trained = np.unique(column[pairs.challenge[train]])
    vectors = np.eye(len(names), dtype=np.float32)
    mean = vectors[trained].mean(axis=0)
    vectors[np.setdiff1d(column, trained)] = mean
    return np.asarray(vectors[column])


def fit_baseline(
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    model_options: ModelOptions,
    training_options: TrainingOptions,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> FusedVideos:
    """Fits one of the paper's baselines.

    Args:
        examples: all pairs, made by `baseline_examples`.
        train: positions of the training pairs.
        valid: positions of the pairs for early stopping.
        model_options: architecture of the model.
        training_options: training options.
        callbacks: Keras callbacks.
    """
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
            mean, std = moments([values[valid_videos]])
            standardize.set_moments(mean, std)
        return model

    model = fit(
        build,
        weigh_training(examples, train, training_options).take(train),
        examples.take(valid),
        participation(training_options.monitor),
        training_options,
        callbacks,
    )
    # Nothing is fitted on its probabilities, so there are no copies out of fold.
    return FusedVideos(model, examples)
