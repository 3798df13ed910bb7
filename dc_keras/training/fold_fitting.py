"""Fits recipes on a fold: proxies, the fusion of videos, and context features.

`evaluate`, `train` and `dc_keras.fit_participation` use these classes, so they fit the
same model for the same fold, seed and proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import keras
import numpy as np

from dc_keras.context.context_fitting import ContextData, ContextFeatures
from dc_keras.context.cross_fit_plan import CrossFitStep, plan_steps
from dc_keras.context.post_features import PostFacts
from dc_keras.features import Features
from dc_keras.options import ModelOptions, ProtocolOptions, TrainingOptions
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.study.splits import TEST_FRACTION, Fold, split_rows
from dc_keras.training.baseline_training import baseline_examples, fit_baseline
from dc_keras.training.cross_fitting import FusedVideos
from dc_keras.training.dataset import Examples
from dc_keras.training.fit_participation import (
    FittedParticipation,
    context_data,
    fit_participation,
)
from dc_keras.training.fusion_training import (
    deep_challenger_examples,
    fit_deep_challenger,
    sample_negatives,
)
from dc_keras.training.proxy_training import (
    Proxies,
    ProxyTask,
    Variant,
    challenge_task,
    embed_sides,
    fit_proxy,
    side_variants,
    user_task,
)
from dc_keras.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class FoldData:
    """The data of one fold of a grid.

    Attributes:
        grid: users, challenges, labels, and the videos of each side.
        pairs: the observed pairs.
        table: features of the videos.
        facts: facts of the videos.
        fold: the training, validation and test pairs.
        seed: random seed of the fold.
    """

    grid: Grid
    pairs: Pairs
    table: Features
    facts: PostFacts
    fold: Fold
    seed: int

    @cached_property
    def context(self) -> ContextData:
        """The data for fitting context features."""
        return context_data(self.grid, self.facts, self.table, self.fold.hidden_users)

    @cached_property
    def steps(self) -> list[CrossFitStep]:
        """The cross-fitting plan."""
        fold = self.fold
        return plan_steps(
            self.context.evidence,
            self.grid,
            fold.split,
            fold.train,
            fold.valid,
            self.seed,
        )

    @cached_property
    def features(self) -> ContextFeatures:
        """The context features of all pairs, out of fold for training pairs."""
        return ContextFeatures(self.context, self.fold.train, self.steps, self.seed)

    def video_task(self, kind: str, user_classes: str = "train") -> ProxyTask:
        """Returns the videos and classes of a proxy.

        Args:
            kind: "challenge" or "user".
            user_classes: see `ProtocolOptions`.
        """
        grid, hidden = self.grid, self.fold.hidden_users
        if kind == "challenge":
            new = self.fold.hidden_challenges
            return challenge_task(grid, self.table, hidden, new)
        use_panel = user_classes == "panel" and not hidden
        users = np.unique(self.pairs.user[self.fold.train]).tolist()
        if use_panel:
            users = list(range(len(grid.users)))
        return user_task(grid, self.table, users)

    def video_split(
        self, task: ProxyTask, validation_fraction: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the training, validation and test positions of a proxy's videos.

        On `random_pair`, 20 % of the videos are for testing, as in the paper. Other
        splits have no test videos: their folds hide videos of held-out users and
        challenges from the task.
        """
        fraction = TEST_FRACTION if self.fold.split == "random_pair" else 0.0
        rest, test = split_rows(len(task.labels), fraction, self.seed)
        kept, valid = split_rows(len(rest), validation_fraction, self.seed)
        return rest[kept], rest[valid], test


@dataclass(frozen=True)
class FittedRecipe:
    """A fitted recipe and its inputs.

    Attributes:
        fitted: the model, the vectors of users and challenges, and its predictions.
        videos: the fusion of videos or the baseline, or None.
        features: the context features of the fold, or None.
        proxies: fitted proxy and its input variant by side; empty for a model without
            videos and for a baseline.
    """

    fitted: FittedParticipation
    videos: FusedVideos | None
    features: ContextFeatures | None
    proxies: Proxies


class FoldFitting:
    """Fits recipes on the training pairs of a fold; they share proxies and fusions.

    Args:
        data: the data of the fold.
        recipes: all recipes that will be fitted.
        protocol: negative training pairs and classes of the user proxy.
        training: training options of proxies; the seed is that of the fold.
        progress: called with the name of a model before each fit.
        proxies: fitted proxies by side, for recipes with their architecture; missing
            ones are fitted.
        callbacks: Keras callbacks of the fusion or the baseline.
    """

    def __init__(
        self,
        data: FoldData,
        recipes: Sequence[Recipe],
        protocol: ProtocolOptions,
        training: TrainingOptions,
        progress: Callable[[str], None],
        proxies: Proxies | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        self.data = data
        self.training = replace(training, seed=data.seed)
        self._recipes = recipes
        self._protocol = protocol
        self._progress = progress
        self._callbacks = callbacks
        self._fitted = {
            (side, variant, recipe.model): proxy
            for side, (proxy, variant) in (proxies or {}).items()
            for recipe in recipes
        }
        self._captions_only: FoldFitting | None = None
        self._embedded: dict[ModelOptions, Mapping[str, np.ndarray]] = {}
        self._fusions: dict[tuple[ModelOptions, TrainingOptions], FusedVideos] = {}

    @property
    def training_rows(self) -> np.ndarray:
        """Positions of the training pairs of networks, with sampled negatives."""
        data, rule = self.data, self._protocol.negatives
        return sample_negatives(data.pairs, data.fold.train, rule, data.seed)

    def video_task(self, kind: str) -> ProxyTask:
        """Returns the videos and classes of a proxy; see `FoldData.video_task`."""
        return self.data.video_task(kind, self._protocol.user_classes)

    def video_split(self, task: ProxyTask) -> tuple[np.ndarray, ...]:
        """Returns positions of a proxy's videos; see `FoldData.video_split`."""
        return self.data.video_split(task, self.training.validation_fraction)

    def proxy(self, kind: str, variant: Variant, options: ModelOptions) -> keras.Model:
        """Returns a proxy, fitted at the first call."""
        key = (kind, variant, options)
        if key not in self._fitted:
            self._progress(f"{kind} proxy, {variant.name}")
            task = self.video_task(kind)
            train, valid, _ = self.video_split(task)
            self._fitted[key] = fit_proxy(
                task, train, valid, self.data.table, variant, options, self.training
            )
        return self._fitted[key]

    def fit(self, recipe: Recipe) -> FittedRecipe:
        """Fits a recipe on the training pairs of the fold."""
        if recipe.baseline is not None:
            return self._fit_baseline(recipe)
        if not recipe.has_frames:
            return self._fit_without_frames(recipe)
        data, videos, proxies = self.data, None, {}
        if recipe.has_videos:
            proxies = {
                side: (self.proxy(side, variant, recipe.model), variant)
                for side, variant in side_variants(data.table).items()
            }
            videos = self._fusion(recipe, proxies)
        self._progress(recipe.name)
        features = data.features if recipe.groups else None
        fitted = fit_participation(features, recipe, videos, data.pairs, data.seed)
        return FittedRecipe(fitted, videos, features, proxies)

    def _fit_baseline(self, recipe: Recipe) -> FittedRecipe:
        self._progress(f"baseline {recipe.name}")
        data = self.data
        examples = baseline_examples(
            data.grid,
            data.table,
            data.pairs,
            side_variants(data.table, recipe.baseline)["user"],
            data.fold.train,
            recipe.training.class_weight,
        )
        videos = fit_baseline(
            examples,
            self.training_rows,
            data.fold.valid,
            recipe.model,
            replace(recipe.training, seed=data.seed),
            self._callbacks,
        )
        fitted = fit_participation(None, recipe, videos, data.pairs, data.seed)
        return FittedRecipe(fitted, videos, None, {})

    def _fit_without_frames(self, recipe: Recipe) -> FittedRecipe:
        table = replace(self.data.table, vision={})
        if self._captions_only is None:
            self._captions_only = FoldFitting(
                replace(self.data, table=table),
                self._recipes,
                self._protocol,
                self.training,
                self._progress,
            )
        # Without captions either, nothing is left of a video.
        has_videos = recipe.has_videos and table.captions is not None
        rest = replace(recipe, has_frames=True, has_videos=has_videos)
        return self._captions_only.fit(rest)

    def pair_examples(
        self,
        recipe: Recipe,
        proxies: Proxies,
        grid: Grid,
        table: Features,
        support_size: int | None = None,
    ) -> Examples:
        """Returns all pairs as inputs of the fusion, with the videos of a grid."""
        return deep_challenger_examples(
            grid,
            table,
            self.data.pairs,
            self._embed(recipe, proxies, table),
            recipe.training.class_weight,
            self.data.fold.hidden_users,
            support_size,
        )

    def _embed(
        self, recipe: Recipe, proxies: Proxies, table: Features
    ) -> Mapping[str, np.ndarray]:
        """Returns the embeddings of all videos; those of the fold are made once."""
        if table is not self.data.table:
            return embed_sides(proxies, table)
        if recipe.model not in self._embedded:
            self._embedded[recipe.model] = embed_sides(proxies, table)
        return self._embedded[recipe.model]

    def _fusion(self, recipe: Recipe, proxies: Proxies) -> FusedVideos:
        """Returns the fusion of videos, fitted once for all recipes that share it."""
        key, data = (recipe.model, recipe.training), self.data
        if key not in self._fusions:
            self._progress(f"{recipe.name}, fusion")
            examples = self.pair_examples(recipe, proxies, data.grid, data.table)
            has_context = any(
                other.groups and (other.model, other.training) == key
                for other in self._recipes
            )
            self._fusions[key] = fit_deep_challenger(
                examples,
                self.training_rows,
                data.fold.valid,
                data.steps if has_context else (),
                recipe.model,
                replace(recipe.training, seed=data.seed),
                self._callbacks,
            )
        return self._fusions[key]
