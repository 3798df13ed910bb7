"""Fits recipes on a fold: proxies, the fusion of videos, and context features.

`evaluate`, `train` and `dc_keras.fit_participation` use `FoldFitting`, so they fit the
same model for the same fold, seed and proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.context_model import fit_context
from dc_keras.context.pair_features import log_odds
from dc_keras.errors import DataError, require_type
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.options import (
    ContextOptions,
    ModelOptions,
    ProtocolOptions,
    TrainingOptions,
)
from dc_keras.training.cross_fitting import FusedVideos
from dc_keras.training.dataset import Examples
from dc_keras.training.fold import FoldData
from dc_keras.training.fusion_training import (
    baseline_examples,
    deep_challenger_examples,
    fit_baseline,
    fit_deep_challenger,
    represent,
    sample_negatives,
)
from dc_keras.training.participation_model import ParticipationModel
from dc_keras.training.participation_part import ParticipationPart
from dc_keras.training.proxy_training import (
    Proxies,
    Variant,
    embed_sides,
    fit_proxy,
    side_variants,
)
from dc_keras.training.recipe import Recipe
from dc_keras.training.trained_participation import TrainedParticipation

_MODEL, _TRAINING = ModelOptions(), TrainingOptions()
_CONTEXT, _PROTOCOL = ContextOptions(), ProtocolOptions()


def _ignore(line: str) -> None:
    """Drops a line of progress."""


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
        progress: Callable[[str], None] = _ignore,
        proxies: Proxies | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        self.data = data
        self.training = replace(training, seed=data.seed)
        self._recipes = recipes
        self._protocol = protocol
        self._progress = progress
        self._callbacks = callbacks
        variants = side_variants(data.table)
        self._fitted = {
            (side, variants[side], recipe.model): proxy
            for side, proxy in (proxies or {}).items()
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

    def proxy(self, kind: str, variant: Variant, options: ModelOptions) -> keras.Model:
        """Returns a proxy, fitted at the first call."""
        key = (kind, variant, options)
        if key not in self._fitted:
            self._progress(f"{kind} proxy, {variant.name}")
            data, training = self.data, self.training
            task = data.video_task(kind, self._protocol.user_classes)
            train, valid, _ = data.video_split(task, training.validation_fraction)
            self._fitted[key] = fit_proxy(
                task, train, valid, data.table, variant, options, training
            )
        return self._fitted[key]

    def fit(self, recipe: Recipe) -> TrainedParticipation:
        """Fits a recipe on the training pairs of the fold."""
        if not recipe.has_frames:
            return self._fit_without_frames(recipe)
        videos, proxies = None, {}
        if recipe.baseline is not None:
            videos = self._baseline(recipe)
        elif recipe.has_videos:
            proxies = {
                side: self.proxy(side, variant, recipe.model)
                for side, variant in side_variants(self.data.table).items()
            }
            videos = self._fusion(recipe, proxies)
        if recipe.baseline is None:
            self._progress(recipe.name)
        return self._combine(recipe, videos, proxies)

    def _combine(
        self, recipe: Recipe, videos: FusedVideos | None, proxies: Proxies
    ) -> TrainedParticipation:
        """Fits the context model, which combines context features and videos."""
        data, fusion, context, of_videos, sides = self.data, None, None, None, []
        if videos is not None:
            fusion = videos.model
            if isinstance(fusion, DeepChallenger):
                fusion = fusion.select_copy(-1)
            sides.append(represent(fusion, videos.examples))
            if videos.out_of_fold is not None:
                of_videos = np.asarray(log_odds(tf.constant(videos.out_of_fold)))
        if recipe.groups:
            features = data.features
            context = fit_context(features, recipe.groups, of_videos, data.seed)
            sides.append((features.users, features.challenges))
        model = ParticipationModel(fusion, context.model if context else None)
        users, challenges = join_sides(sides)
        return TrainedParticipation(
            recipe,
            data,
            self._protocol,
            model,
            users,
            challenges,
            context,
            videos,
            proxies,
        )

    def _baseline(self, recipe: Recipe) -> FusedVideos:
        self._progress(f"baseline {recipe.name}")
        data = self.data
        variant = side_variants(data.table, recipe.baseline)["user"]
        return fit_baseline(
            baseline_examples(data, variant),
            self.training_rows,
            data.fold.valid,
            recipe.model,
            replace(recipe.training, seed=data.seed),
            self._callbacks,
        )

    def _fit_without_frames(self, recipe: Recipe) -> TrainedParticipation:
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
        data: FoldData,
        recipe: Recipe,
        proxies: Proxies,
        support_size: int | None = None,
    ) -> Examples:
        """Returns the pairs of a fold, with other videos, as inputs of the fusion.

        The embeddings of the videos of the fold itself are made once.
        """
        if data.table is not self.data.table:
            embedded = embed_sides(proxies, data.table)
            return deep_challenger_examples(data, embedded, support_size)
        if recipe.model not in self._embedded:
            self._embedded[recipe.model] = embed_sides(proxies, data.table)
        return deep_challenger_examples(
            data, self._embedded[recipe.model], support_size
        )

    def _fusion(self, recipe: Recipe, proxies: Proxies) -> FusedVideos:
        """Returns the fusion of videos, fitted once for all recipes that share it."""
        key, data = (recipe.model, recipe.training), self.data
        if key not in self._fusions:
            self._progress(f"{recipe.name}, fusion")
            examples = self.pair_examples(data, recipe, proxies)
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


def join_sides(
    sides: Sequence[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Joins the vectors of users, and those of challenges, of videos and context."""
    users, challenges = (
        np.concatenate(parts, axis=1) for parts in zip(*sides, strict=True)
    )
    return users, challenges


def fit_participation(
    train: ParticipationPart,
    valid: ParticipationPart,
    *,
    model: ModelOptions = _MODEL,
    training: TrainingOptions = _TRAINING,
    context: ContextOptions = _CONTEXT,
    protocol: ProtocolOptions = _PROTOCOL,
    baseline: str | None = None,
    progress: Callable[[str], None] = _ignore,
) -> TrainedParticipation:
    """Fits the whole recipe: both proxies, fusion of videos, context, combination.

    The model is the one that `evaluate` judges in the same fold with the same options.

    Args:
        train: the training part of a split.
        valid: the validation part of the same split, for early stopping.
        model: shape of the networks.
        training: how they are fitted; the seed is that of the split.
        context: what the model sees beside the videos.
        protocol: which rows train what.
        baseline: name of a baseline of the paper, such as "VGG16+BERT", that is fitted
            in place of the recipe, without context.
        progress: called with a line when something is about to be fitted, such as
            `print`.

    Raises:
        DataError: the two are not the training and the validation part of one split, or
            the features do not have the variant of `baseline`.
        TypeError: an argument has another type.
    """
    for name, value, accepted in (
        ("train", train, ParticipationPart),
        ("valid", valid, ParticipationPart),
        ("model", model, ModelOptions),
        ("training", training, TrainingOptions),
        ("context", context, ContextOptions),
        ("protocol", protocol, ProtocolOptions),
    ):
        require_type(name, value, accepted)
    is_named = (train.name, valid.name) == ("train", "valid")
    if not is_named or not train.data.has_pairs_of(valid.data):
        raise DataError(
            "`train` and `valid` must be the training and the validation part of one "
            f"split. Received: train={train!r}, valid={valid!r}"
        )
    recipe = Recipe.of(model, training, context, baseline)
    return FoldFitting(train.data, (recipe,), protocol, training, progress).fit(recipe)
