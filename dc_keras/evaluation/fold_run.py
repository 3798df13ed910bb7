"""Fits all models on the training pairs of one fold and predicts its other pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.predictions import SCHEMA, prediction_rows
from dc_keras.evaluation.result_tables import BAYES, CONTEXT_ONLY, DEEP_CHALLENGER
from dc_keras.evaluation.simple_baselines import SimpleData, simple_scores
from dc_keras.evaluation.variants import smaller_supports
from dc_keras.features import Features
from dc_keras.study.participation import Grid
from dc_keras.study.splits import Fold
from dc_keras.training.fold import FoldData
from dc_keras.training.fold_fitting import FoldFitting, join_sides
from dc_keras.training.fusion_training import represent
from dc_keras.training.loop import predict
from dc_keras.training.proxy_training import (
    Variant,
    available_variants,
    proxy_examples,
)
from dc_keras.training.recipe import Recipe
from dc_keras.training.trained_participation import TrainedParticipation


class FoldRun:
    """Fits and evaluates the models of one fold, using its training pairs only.

    `seed` is the number of the repetition, from 0. `progress` is called with a message,
    which contains `name`, before each fit.
    """

    def __init__(
        self,
        experiment: Experiment,
        fold: Fold,
        seed: int,
        name: str,
        progress: Callable[[str], None],
    ) -> None:
        self._x = experiment
        self._fold = fold
        seed = (experiment.training.seed + seed) * 1000 + fold.index
        data = FoldData(experiment.grid, experiment.table, experiment.facts, fold, seed)
        self._pairs = data.pairs
        self._fitting = FoldFitting(
            data,
            experiment.recipes(),
            experiment.protocol,
            experiment.training,
            lambda model: progress(f"{name}: {model}"),
        )

    def proxy_predictions(self) -> pl.DataFrame:
        """Returns the rows of Table I: all proxy variants on held-out videos."""
        frames = []
        if self._fold.split == "random_pair" and self._x.includes("proxies"):
            for kind in ("challenge", "user"):
                for variant in available_variants(self._x.table):
                    frames.append(self._predict_videos(kind, variant))
        return pl.concat(frames) if frames else pl.DataFrame()

    def predictions(self) -> pl.DataFrame:
        """Returns the rows of Table II: scores of validation and test pairs."""
        scores: dict[str, np.ndarray] = {}
        if self._x.includes("simple"):
            data = self._fitting.data
            scores |= simple_scores(
                SimpleData(self._pairs, self._fold, data.features, data.seed)
            )
        if self._x.truth is not None:
            scores[BAYES] = self._x.truth[self._pairs.user, self._pairs.challenge]
        for recipe in self._x.recipes():
            scores |= self._recipe_scores(recipe)
        frames = [self._frame(name, s) for name, s in scores.items()]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *frames])

    def _predict_videos(self, kind: str, variant: Variant) -> pl.DataFrame:
        data, fraction = self._fitting.data, self._x.training.validation_fraction
        task = data.video_task(kind, self._x.protocol.user_classes)
        _, _, test = data.video_split(task, fraction)
        examples = proxy_examples(task, self._x.table, variant).take(test)
        proxy = self._fitting.proxy(kind, variant, self._x.model)
        classes = predict(proxy, examples).argmax(axis=1)
        return pl.DataFrame(
            {
                "kind": kind,
                "variant": variant.name,
                "num_classes": len(task.classes),
                "video_id": [self._x.table.video_ids[r] for r in task.rows[test]],
                "label": task.labels[test],
                "predicted": classes.astype(np.int32),
            }
        )

    def fit(self, recipe: Recipe) -> TrainedParticipation:
        """Fits a recipe on the training pairs of the fold."""
        return self._fitting.fit(recipe)

    def _recipe_scores(self, recipe: Recipe) -> dict[str, np.ndarray]:
        """Fits a recipe and returns its scores of validation and test pairs."""
        fitted = self.fit(recipe)
        features = fitted.features
        valid = fitted.predict_out_of_fold(self._fold.valid)
        scores = {recipe.name: self._score_pairs(fitted, valid)}
        if recipe.name == DEEP_CHALLENGER and self._x.includes("support_sizes"):
            for size, grid, table in smaller_supports(self._x.grid, self._x.table):
                changed = self._describe(fitted, grid, table)
                scores[f"{recipe.name}, {size}"] = self._score_pairs(changed, valid)
        has_variant = recipe.name in (DEEP_CHALLENGER, CONTEXT_ONLY)
        if features is not None and has_variant and self._x.includes("captions_only"):
            of_videos = fitted.users[:, : fitted.model.video_widths[0]]
            users = [of_videos, features.users_without_facts()]
            changed = replace(fitted, users=np.concatenate(users, axis=1))
            scores[f"{recipe.name}, captions only"] = self._score_pairs(changed, valid)
        return scores

    def _score_pairs(
        self, fitted: TrainedParticipation, valid: np.ndarray
    ) -> np.ndarray:
        """Returns scores: of test pairs by the final model, NaN for training pairs."""
        scores = np.full(len(self._pairs), np.nan)
        scores[self._fold.valid] = valid
        scores[self._fold.test] = fitted.predict_rows(self._fold.test)
        return scores

    def _describe(
        self, fitted: TrainedParticipation, grid: Grid, table: Features
    ) -> TrainedParticipation:
        """Returns a fitted model with the users and challenges of another grid."""
        sides, fusion = [], fitted.model.fusion
        data = replace(fitted.data, grid=grid, table=table)
        if fusion is not None:
            examples = self._fitting.pair_examples(
                data, fitted.recipe, fitted.proxies, fusion.sizes["support_max"]
            )
            sides.append(represent(fusion, examples))
        if fitted.features is not None:
            sides.append(fitted.features.describe(data.context))
        users, challenges = join_sides(sides)
        return replace(fitted, users=users, challenges=challenges)

    def _frame(self, model: str, scores: np.ndarray) -> pl.DataFrame:
        parts = [
            prediction_rows(self._x.grid, self._pairs, rows, model, part, scores[rows])
            for part, rows in (("valid", self._fold.valid), ("test", self._fold.test))
        ]
        return pl.concat(parts)
