"""Fits and judges every model inside one fold, on its training rows only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import keras
import numpy as np
import polars as pl

from dc_keras.evaluation.experiment import Experiment
from dc_keras.evaluation.predictions import SCHEMA, prediction_rows
from dc_keras.evaluation.result_tables import BAYES, CONTEXT_ONLY, DEEP_CHALLENGER
from dc_keras.evaluation.simple_baselines import SimpleData, simple_scores
from dc_keras.evaluation.variants import (
    smaller_supports,
)
from dc_keras.features import Features
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.splits import Fold
from dc_keras.training.fit_participation import (
    FittedParticipation,
    FusedVideos,
    context_data,
    represent,
)
from dc_keras.training.fold_fitting import FittedRecipe, FoldData, FoldFitting
from dc_keras.training.fusion_training import (
    baseline_examples,
    fit_baseline,
)
from dc_keras.training.loop import predict
from dc_keras.training.proxy_training import (
    Variant,
    available_variants,
    proxy_examples,
)
from dc_keras.training.recipe import Recipe


class FoldRun:
    """Everything that is fitted inside one fold, on its training rows only.

    Args:
        experiment: data and options.
        fold: which pairs are for training, validation and test.
        seed: number of the repetition, from 0.
        name: of the fold, for what is told.
        tell: called with one line when something is about to be fitted.
    """

    def __init__(
        self,
        experiment: Experiment,
        fold: Fold,
        seed: int,
        name: str,
        tell: Callable[[str], None],
    ) -> None:
        self._name = name
        self._x = experiment
        self._pairs = grid_pairs(experiment.grid)
        self._fold = fold
        seed = (experiment.training.seed + seed) * 1000 + fold.index
        data = FoldData(
            experiment.grid, self._pairs, experiment.table, experiment.facts, fold, seed
        )
        protocol = experiment.protocol
        self._fitting = FoldFitting(
            data,
            experiment.recipes(),
            protocol.negatives,
            protocol.user_classes,
            experiment.training,
            self._tell,
        )
        self._tell_all = tell

    def _tell(self, model: str) -> None:
        self._tell_all(f"{self._name}: {model}")

    def proxy_predictions(self) -> pl.DataFrame:
        """Table I's rows: every variant of both proxies, judged on held-out videos."""
        frames = []
        if self._fold.split == "random_pair" and self._x.wants("proxies"):
            for kind in ("challenge", "user"):
                for variant in available_variants(self._x.table):
                    frames.append(self._judge_proxy(kind, variant))
        return pl.concat(frames) if frames else pl.DataFrame()

    def predictions(self) -> pl.DataFrame:
        """Table II's rows: every validation and test pair's score by each model."""
        scores: dict[str, np.ndarray] = {}
        if self._x.wants("simple"):
            scores |= self._simple_scores()
        if self._x.truth is not None:
            scores[BAYES] = self._x.truth[self._pairs.user, self._pairs.challenge]
        if self._x.wants("paper"):
            scores |= self._paper_baseline_scores()
        for recipe in self._x.recipes():
            scores |= self._recipe_scores(recipe)
        frames = [self._frame(name, s) for name, s in scores.items()]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *frames])

    def _judge_proxy(self, kind: str, variant: Variant) -> pl.DataFrame:
        task = self._fitting.video_task(kind)
        _, _, test = self._fitting.video_split(task)
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

    def _simple_scores(self) -> Mapping[str, np.ndarray]:
        data = self._fitting.data
        return simple_scores(
            SimpleData(self._pairs, self._fold, data.features, data.seed)
        )

    def _paper_baseline_scores(self) -> dict[str, np.ndarray]:
        scores = {}
        for variant in available_variants(self._x.table):
            self._tell(f"baseline {variant.name}")
            examples = baseline_examples(
                self._x.grid,
                self._x.table,
                self._pairs,
                variant,
                self._x.grid.settings["history_max"],
                self._fitting.training.class_weight,
            )
            model = fit_baseline(
                examples,
                self._fitting.training_rows,
                self._fold.valid,
                self._x.model,
                self._fitting.training,
            )
            scores[variant.name] = predict(model, examples)
        return scores

    def fit(self, recipe: Recipe) -> FittedRecipe:
        """Fits one form of deepChallenger on the training pairs of the fold."""
        return self._fitting.fit(recipe)

    def _recipe_scores(self, recipe: Recipe) -> dict[str, np.ndarray]:
        """Fits one form of deepChallenger and scores every pair with it."""
        found = self.fit(recipe)
        fitted, videos, proxies = found.fitted, found.videos, found.proxies
        scores = {recipe.name: self._judged(fitted, fitted)}
        if recipe.name == DEEP_CHALLENGER and self._x.wants("support_sizes"):
            for size, grid, table in smaller_supports(self._x.grid, self._x.table):
                seen = self._describe(recipe, fitted, videos, proxies, grid, table)
                scores[f"{recipe.name}, {size}"] = self._judged(fitted, seen)
        is_named = recipe.name in (DEEP_CHALLENGER, CONTEXT_ONLY)
        if found.features is not None and is_named and self._x.wants("captions_only"):
            of_videos = fitted.users[:, : fitted.model.video_widths[0]]
            users = [of_videos, found.features.users_without_facts()]
            seen = replace(fitted, users=np.concatenate(users, axis=1))
            scores[f"{recipe.name}, captions only"] = self._judged(fitted, seen)
        return scores

    def _judged(
        self, fitted: FittedParticipation, seen: FittedParticipation
    ) -> np.ndarray:
        """Scores test pairs by the model that is served, others out of fold."""
        scores = fitted.out_of_fold.astype(np.float64)
        test, pairs = self._fold.test, self._pairs
        scores[test] = fitted.model.predict(
            seen.users, seen.challenges, pairs.user[test], pairs.challenge[test]
        )
        return scores

    def _describe(
        self,
        recipe: Recipe,
        fitted: FittedParticipation,
        videos: FusedVideos | None,
        proxies: Mapping[str, tuple[keras.Model, Variant]],
        grid: Grid,
        table: Features,
    ) -> FittedParticipation:
        """Returns users and challenges as a fitted model sees them on another grid."""
        sides = []
        if fitted.model.fusion is not None and videos is not None:
            width = fitted.model.fusion.support_max
            examples = self._fitting.pair_examples(recipe, proxies, grid, table, width)
            sides.append(represent(fitted.model.fusion, examples))
        if recipe.groups:
            data = context_data(grid, self._x.facts, table, self._fold.hidden_users)
            sides.append(self._fitting.data.features.describe(data))
        users, challenges = (
            np.concatenate([side[i] for side in sides], axis=1) for i in range(2)
        )
        return replace(fitted, users=users, challenges=challenges)

    def _frame(self, model: str, scores: np.ndarray) -> pl.DataFrame:
        parts = [
            prediction_rows(self._x.grid, self._pairs, rows, model, part, scores[rows])
            for part, rows in (("valid", self._fold.valid), ("test", self._fold.test))
        ]
        return pl.concat(parts)
