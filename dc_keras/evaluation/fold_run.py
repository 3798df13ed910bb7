"""Fits and judges every model inside one fold, on its training rows only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import keras
import numpy as np
import polars as pl

from dc_keras.context.context_fitting import ContextData, ContextFeatures
from dc_keras.context.cross_fit_plan import Step, plan_steps
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.study import Grid
from dc_keras.evaluation.simple_baselines import SimpleData, simple_scores
from dc_keras.evaluation.variants import (
    smaller_supports,
)
from dc_keras.evaluation.experiment import Experiment
from dc_keras.study.splits import TEST_FRACTION, Fold, split_rows
from dc_keras.evaluation.result_tables import BAYES, CONTEXT_ONLY, DEEP_CHALLENGER
from dc_keras.models.config import (
    ModelOptions,
    TrainingOptions,
)
from dc_keras.training.cross_fitting import Crossed
from dc_keras.training.dataset import Examples, FeatureTable
from dc_keras.training.fit_participation import (
    FittedParticipation,
    FusedVideos,
    context_data,
    fit_participation,
    represent,
)
from dc_keras.training.loop import predict
from dc_keras.training.fusion_training import (
    baseline_examples,
    deep_challenger_examples,
    fit_baseline,
    fit_deep_challenger,
    pair_sizes,
    sample_negatives,
)
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    available_variants,
    challenge_task,
    fit_proxy,
    proxy_examples,
    side_variants,
    user_task,
)
from dc_keras.training.recipe import Recipe

_PREDICTIONS = {
    "model": pl.String,
    "part": pl.String,
    "user_id": pl.String,
    "challenge": pl.String,
    "label": pl.Int32,
    "score": pl.Float64,
}


@dataclass(frozen=True)
class FittedRecipe:
    """A fitted form of deepChallenger, and what it was fitted on.

    Attributes:
        fitted: the model, and users, challenges and pairs as it sees them.
        videos: the fusion of videos, or None.
        features: the context features of the fold, or None.
        proxies: by side, the fitted proxy and what it sees; empty without videos.
    """

    fitted: FittedParticipation
    videos: FusedVideos | None
    features: ContextFeatures | None
    proxies: Mapping[str, tuple[keras.Model, Variant]]


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
        self._seed = (experiment.training.seed + seed) * 1000 + fold.index
        self._training = replace(experiment.training, seed=self._seed)
        self._tell_all = tell
        self._fitted: dict[tuple[str, Variant, ModelOptions], keras.Model] = {}
        self._fusions: dict[tuple[ModelOptions, TrainingOptions], Crossed] = {}

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
        return pl.concat([pl.DataFrame(schema=_PREDICTIONS), *frames])

    def _task(self, kind: str) -> ProxyTask:
        grid, hidden = self._x.grid, self._fold.hidden_users
        if kind == "challenge":
            new = self._fold.hidden_challenges
            return challenge_task(grid, self._x.table, hidden, new)
        is_cold = bool(hidden)
        train_users = np.unique(self._pairs.user[self._fold.train])
        everyone = list(range(len(grid.users)))
        use_panel = self._x.protocol.user_classes == "panel" and not is_cold
        return user_task(
            grid, self._x.table, everyone if use_panel else train_users.tolist()
        )

    def _video_split(self, task: ProxyTask) -> tuple[np.ndarray, ...]:
        """Training, validation and test positions of a proxy's videos.

        On `random_pair` the paper's 80/20 holds for videos too; elsewhere the fold
        itself has already hidden what must be hidden, and no video is held out.
        """
        fraction = TEST_FRACTION if self._fold.split == "random_pair" else 0.0
        rest, test = split_rows(len(task.labels), fraction, self._seed)
        kept, valid = split_rows(
            len(rest), self._training.validation_fraction, self._seed
        )
        return rest[kept], rest[valid], test

    def _proxy(self, kind: str, variant: Variant, options: ModelOptions) -> keras.Model:
        key = (kind, variant, options)
        if key not in self._fitted:
            self._tell(f"{kind} proxy, {variant.name}")
            task = self._task(kind)
            train, valid, _ = self._video_split(task)
            self._fitted[key] = fit_proxy(
                task,
                train,
                valid,
                self._x.table,
                variant,
                options,
                self._training,
            )
        return self._fitted[key]

    def _judge_proxy(self, kind: str, variant: Variant) -> pl.DataFrame:
        task = self._task(kind)
        _, _, test = self._video_split(task)
        examples = proxy_examples(task, self._x.table, variant).take(test)
        classes = predict(self._proxy(kind, variant, self._x.model), examples).argmax(
            axis=1
        )
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

    @cached_property
    def _data(self) -> ContextData:
        x = self._x
        return context_data(x.grid, x.facts, x.table, self._fold.hidden_users)

    @cached_property
    def _features(self) -> ContextFeatures:
        return ContextFeatures(self._data, self._fold.train, self._steps, self._seed)

    @cached_property
    def _steps(self) -> list[Step]:
        fold, grid = self._fold, self._x.grid
        return plan_steps(
            self._data.evidence, grid, fold.split, fold.train, fold.valid, self._seed
        )

    def _simple_scores(self) -> Mapping[str, np.ndarray]:
        data = SimpleData(self._pairs, self._fold, self._features, self._seed)
        return simple_scores(data)

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
                self._training.class_weight,
            )
            model = fit_baseline(
                examples,
                self._training_rows(),
                self._fold.valid,
                self._x.model,
                self._training,
            )
            scores[variant.name] = predict(model, examples)
        return scores

    def fit(self, recipe: Recipe) -> FittedRecipe:
        """Fits one form of deepChallenger on the training pairs of the fold."""
        videos, proxies = None, {}
        if recipe.has_videos:
            proxies = {
                side: (self._proxy(side, variant, recipe.model), variant)
                for side, variant in side_variants(self._x.table).items()
            }
            examples = self._pair_examples(recipe, proxies, self._x.grid, self._x.table)
            videos = FusedVideos(self._fusion(recipe, examples), examples)
        self._tell(recipe.name)
        features = self._features if recipe.groups else None
        fitted = fit_participation(features, recipe, videos, self._seed)
        return FittedRecipe(fitted, videos, features, proxies)

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
        table: FeatureTable,
    ) -> FittedParticipation:
        """Returns users and challenges as a fitted model sees them on another grid."""
        sides = []
        if fitted.model.fusion is not None and videos is not None:
            width = pair_sizes(videos.examples).support_max
            examples = self._pair_examples(recipe, proxies, grid, table, width)
            sides.append(represent(fitted.model.fusion, examples))
        if recipe.groups:
            data = context_data(grid, self._x.facts, table, self._fold.hidden_users)
            sides.append(self._features.describe(data))
        users, challenges = (
            np.concatenate([side[i] for side in sides], axis=1) for i in range(2)
        )
        return replace(fitted, users=users, challenges=challenges)

    def _pair_examples(
        self,
        recipe: Recipe,
        proxies: Mapping[str, tuple[keras.Model, Variant]],
        grid: Grid,
        table: FeatureTable,
        support_size: int | None = None,
    ) -> Examples:
        return deep_challenger_examples(
            grid,
            table,
            self._pairs,
            proxies,
            recipe.training.class_weight,
            self._fold.hidden_users,
            support_size,
        )

    def _fusion(self, recipe: Recipe, examples: Examples) -> Crossed:
        """Fits the fusion of videos once for all contenders that share it."""
        key = (recipe.model, recipe.training)
        if key not in self._fusions:
            self._tell(f"{recipe.name}, fusion")
            has_head = any(
                c.groups and (c.model, c.training) == key for c in self._x.recipes()
            )
            self._fusions[key] = fit_deep_challenger(
                examples,
                self._training_rows(),
                self._fold.valid,
                self._steps if has_head else (),
                recipe.model,
                replace(recipe.training, seed=self._seed),
            )
        return self._fusions[key]

    def _training_rows(self) -> np.ndarray:
        rule = self._x.protocol.negatives
        return sample_negatives(self._pairs, self._fold.train, rule, self._seed)

    def _frame(self, model: str, scores: np.ndarray) -> pl.DataFrame:
        grid, parts = self._x.grid, []
        for part in ("valid", "test"):
            rows = getattr(self._fold, part)
            parts.append(
                pl.DataFrame(
                    {
                        "model": [model] * len(rows),
                        "part": [part] * len(rows),
                        "user_id": [grid.users[u] for u in self._pairs.user[rows]],
                        "challenge": [
                            grid.challenges[c] for c in self._pairs.challenge[rows]
                        ],
                        "label": self._pairs.label[rows],
                        "score": scores[rows].astype(np.float64),
                    },
                    schema=_PREDICTIONS,
                )
            )
        return pl.concat(parts)
