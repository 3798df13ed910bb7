"""Fits the participation model, for `evaluate` and `train`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.context_fitting import ContextData, ContextFeatures
from dc_keras.context.context_model import FittedContext, fit_context
from dc_keras.context.fold_data import Evidence
from dc_keras.context.pair_features import log_odds
from dc_keras.context.post_features import PostFacts
from dc_keras.features import Features
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.training.cross_fitting import FusedVideos
from dc_keras.training.dataset import Examples
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.proxy_training import side_variants
from dc_keras.training.recipe import Recipe

# Batch size in users or challenges.
_CHUNK = 1024


@dataclass(frozen=True)
class FittedParticipation:
    """A fitted model with the vectors and the pairs of its fold.

    Attributes:
        model: the fitted model.
        users: float32 (num_users, user_width), vectors of users.
        challenges: float32 (num_challenges, challenge_width), vectors of challenges.
        pairs: the observed pairs.
        context: the context model with the models of its inner folds, or None.
    """

    model: ParticipationModel
    users: np.ndarray
    challenges: np.ndarray
    pairs: Pairs
    context: FittedContext | None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Returns probabilities of pairs by the final model, float32 (len(rows),).

        Args:
            rows: positions of the pairs.
        """
        pairs = self.pairs
        return self.model.predict(
            self.users, self.challenges, pairs.user[rows], pairs.challenge[rows]
        )

    def predict_out_of_fold(self, rows: np.ndarray) -> np.ndarray:
        """Returns probabilities of training and validation pairs, float32 (len(rows),).

        With context, models that were fitted without their labels compute them.

        Args:
            rows: positions of the pairs.
        """
        if self.context is None:
            return self.predict(rows)
        return np.asarray(1 / (1 + np.exp(-self.context.log_odds(rows))))


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
    pairs: Pairs,
    seed: int,
) -> FittedParticipation:
    """Fits the model of a recipe on the training pairs of a fold.

    Args:
        features: the context features of the fold; None for a recipe without context.
        recipe: inputs and options of the model.
        videos: the fusion of videos or the baseline, fitted on the same pairs; None for
            a recipe without videos.
        pairs: the observed pairs of the fold.
        seed: seed of the boosted trees.
    """
    fusion, context, of_videos, sides = None, None, None, []
    if recipe.has_videos and videos is not None:
        fusion = videos.model
        if isinstance(fusion, DeepChallenger):
            fusion = fusion.select_copy(-1)
        sides.append(represent(fusion, videos.examples))
        if videos.out_of_fold is not None:
            of_videos = np.asarray(log_odds(tf.constant(videos.out_of_fold)))
    if recipe.groups and features is not None:
        context = fit_context(features, recipe.groups, of_videos, seed)
        sides.append((features.users, features.challenges))
    users, challenges = (
        np.concatenate([side[i] for side in sides], axis=1) for i in range(2)
    )
    model = ParticipationModel(fusion, context.model if context else None)
    return FittedParticipation(model, users, challenges, pairs, context)


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
