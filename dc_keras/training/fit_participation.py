"""Fits the participation model, for `evaluate` and `train`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.context_fitting import ContextData, ContextFeatures
from dc_keras.context.context_model import fit_context
from dc_keras.context.fold_data import Evidence
from dc_keras.context.pair_features import log_odds
from dc_keras.context.post_features import PostFacts
from dc_keras.features import Features
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.study.participation import Grid
from dc_keras.training.cross_fitting import CrossFitModel
from dc_keras.training.dataset import Examples
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.proxy_training import side_variants
from dc_keras.training.recipe import Recipe

# Batch size in users or challenges.
_CHUNK = 1024


@dataclass(frozen=True)
class FusedVideos:
    """The fitted fusion of videos and its copies, or a baseline, with its examples.

    Attributes:
        crossed: the fusion and its copies, or a baseline of the paper.
        examples: all pairs.
    """

    crossed: CrossFitModel
    examples: Examples


@dataclass(frozen=True)
class FittedParticipation:
    """A fitted model with the vectors and predictions of its fold.

    Attributes:
        model: the fitted model.
        users: float32 (num_users, user_width), vectors of users.
        challenges: float32 (num_challenges, challenge_width), vectors of challenges.
        out_of_fold: float32 (num_pairs,), probabilities; out of fold for training and
            validation pairs.
    """

    model: ParticipationModel
    users: np.ndarray
    challenges: np.ndarray
    out_of_fold: np.ndarray


def context_data(
    grid: Grid,
    facts: PostFacts,
    table: Features,
    hidden_users: Collection[str] = (),
) -> ContextData:
    """Returns the data for fitting context features.

    Args:
        grid: users, challenges, labels, and the videos of each side.
        facts: facts of these videos.
        table: features of these videos; histories of the pool may be missing.
        hidden_users: users whose videos must not describe a challenge.
    """
    vision = side_variants(table)["user"].vision
    frames = table.vision[vision].mean_frames if vision else None
    rows = np.array([table.row_of.get(v, -1) for v in facts.video_ids], np.int64)
    caption_vectors, frame_vectors = (
        None if vectors is None else np.where(rows[:, None] < 0, 0, vectors[rows])
        for vectors in (table.captions, frames)
    )
    evidence = Evidence.of(grid, facts, table.caption_vectors(), hidden_users)
    return ContextData(
        evidence,
        caption_vectors,
        frame_vectors,
        history_max=grid.settings["history_max"],
        support_max=min(
            grid.settings["support_max"], max(1, *map(len, evidence.support))
        ),
        focal_terms=tuple(_focal_terms(grid)),
    )


def _focal_terms(grid: Grid) -> Iterator[str]:
    """Yields the hashtags and sounds of a grid's challenges as terms."""
    marks = grid.settings.get("challenges")
    for challenge in (marks or {}).values():
        for prefix, kind in (("#", "hashtags"), ("sound:", "sounds")):
            yield from (f"{prefix}{mark}".lower() for mark in challenge[kind])


def fit_participation(
    features: ContextFeatures | None,
    recipe: Recipe,
    videos: FusedVideos | None,
    seed: int,
) -> FittedParticipation:
    """Fits the model of a recipe on the training pairs of a fold.

    Args:
        features: the context features of the fold; None for a recipe without context.
        recipe: inputs and options of the model.
        videos: the fusion of videos or the baseline, fitted on the same pairs; None for
            a recipe without videos.
        seed: seed of the boosted trees.
    """
    fusion, context, sides = None, None, []
    out_of_fold = None
    if recipe.has_videos and videos is not None:
        fusion = videos.crossed.model
        if isinstance(fusion, DeepChallenger):
            fusion = fusion.select_copy(-1)
        sides.append(represent(fusion, videos.examples))
        crossed = videos.crossed
        out_of_fold = crossed.out_of_fold if recipe.groups else crossed.probability
    if recipe.groups and features is not None:
        of_videos = None
        if out_of_fold is not None:
            of_videos = np.asarray(log_odds(tf.constant(out_of_fold)))
        fitted = fit_context(features, recipe.groups, of_videos, seed)
        context = fitted.model
        sides.append((features.users, features.challenges))
        out_of_fold = 1 / (1 + np.exp(-fitted.log_odds))
    users, challenges = (
        np.concatenate([side[i] for side in sides], axis=1) for i in range(2)
    )
    return FittedParticipation(
        ParticipationModel(fusion, context), users, challenges, np.asarray(out_of_fold)
    )


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
