"""A corpus, a study and features as datasets for Keras.

    data = ParticipationDataset(corpus, study, features)
    train, valid, test = data.split("cold_user", fold=0)
    model.fit(train.to_tf(512), validation_data=valid.to_tf(512))

The folds, and what may describe a challenge in each, are those of `evaluate`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import keras
import numpy as np
import polars as pl
import tensorflow as tf

from dc_keras.context.post_features import PostFacts, read_facts
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError
from dc_keras.features import Features
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import named_joins, resolve_study
from dc_keras.study.splits import make_folds
from dc_keras.study.study import Study, SupportRule
from dc_keras.study.temporal import resolve_temporal
from dc_keras.training.dataset import Examples
from dc_keras.training.fold_fitting import FoldData
from dc_keras.training.fusion_training import (
    challenge_sets,
    label_weights,
    pair_examples,
    pair_sizes,
    user_sets,
    video_vectors,
)
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    embed_videos,
    proxy_examples,
    set_moments,
    side_variants,
    video_sizes,
)

CLASS_WEIGHTS = ("none", "balanced")


class ParticipationDataset:
    """The pairs of a study with the video vectors of both sides.

    Args:
        corpus: the posts.
        study: challenges, panel and sizes.
        features: vectors of all videos that the study shows, from records or arrays.
        support: whose videos describe a challenge; see `resolve_study`.
        horizon_days: resolves the study at several cutoffs, each with a label window of
            so many days, for the split `temporal`; None resolves it once.
        num_past: with `horizon_days`, the number of cutoffs before the study's own.
        **overrides: settings that differ from those of the study, such as
            `history_max`.

    Attributes:
        grid: the resolved study.
        pairs: its observed pairs.
        features: the same.
        facts: words, sounds, times and counts of the videos.
        vectors: by side ("challenge", "user"), float32 (num_videos, dim), a row for
            each video of `features`. At first the mean embedding of a video's own
            frames, joined with that of its caption.
        key_fingerprint: of the corpus's pseudonyms.

    Raises:
        DataError: the study does not fit the corpus, or a video has no features.
    """

    def __init__(
        self,
        corpus: Corpus,
        study: Study,
        features: Features,
        *,
        support: SupportRule = "outside_panel",
        horizon_days: int | None = None,
        num_past: int = 3,
        **overrides: Any,
    ) -> None:
        joins = None
        if horizon_days is None:
            grid = resolve_study(study, corpus, support=support, **overrides)
        else:
            joins = named_joins(study, corpus.videos)
            grid = resolve_temporal(
                study.with_settings(**overrides),
                corpus.videos,
                support,
                horizon_days=horizon_days,
                num_past=num_past,
            )
        features.rows([v for ids in (*grid.histories, *grid.support) for v in ids])
        self.grid: Grid = grid
        self.pairs = grid_pairs(grid)
        self.features = features
        self.facts: PostFacts = read_facts(
            corpus.videos, grid, users=corpus.users, joins=joins
        )
        self.key_fingerprint: str = corpus.info["key_fingerprint"]
        self.vectors: Mapping[str, np.ndarray] = {
            side: video_vectors(features, variant)
            for side, variant in side_variants(features).items()
        }

    def __repr__(self) -> str:
        labels = self.pairs.label
        return (
            f"<ParticipationDataset: {len(self.grid.users)} users, "
            f"{len(self.grid.challenges)} challenges, {len(labels)} pairs, "
            f"{int(labels.sum())} joined>"
        )

    def with_embeddings(
        self, challenge_proxy: keras.Model, user_proxy: keras.Model
    ) -> Self:
        """Returns the dataset with learned video embeddings as vectors.

        Args:
            challenge_proxy: fitted on `challenge_videos` of a training part; it embeds
                the videos of the challenge side.
            user_proxy: the same of `user_videos` and the user side.
        """
        proxies = {"challenge": challenge_proxy, "user": user_proxy}
        other = copy.copy(self)
        other.vectors = {
            side: embed_videos(proxies[side], self.features, variant)
            for side, variant in side_variants(self.features).items()
        }
        return other

    def split(
        self,
        name: str,
        fold: int = 0,
        *,
        seed: int = 0,
        num_folds: int = ProtocolOptions.num_folds,
        validation_fraction: float = TrainingOptions.validation_fraction,
    ) -> tuple[ParticipationPart, ParticipationPart, ParticipationPart]:
        """Divides the pairs as `evaluate` does.

        Args:
            name: one of `dc_keras.study.splits.SPLITS`, such as "cold_user".
            fold: number of the fold, from 0.
            seed: of the division.
            num_folds: folds of the split.
            validation_fraction: share of the training pairs, users or challenges that
                is kept for validation.

        Returns:
            The training, validation and test part.

        Raises:
            DataError: there is no such split or fold, or too few users or challenges
                for it.
        """
        folds = make_folds(
            self.grid, self.pairs, name, num_folds, validation_fraction, seed
        )
        if not 0 <= fold < len(folds):
            raise DataError(
                f"`fold` of {name} must be 0 to {len(folds) - 1}. Received: fold={fold}"
            )
        data = FoldData(
            self.grid,
            self.pairs,
            self.features,
            self.facts,
            folds[fold],
            seed * 1000 + fold,
        )
        view = _FoldView(self, data, validation_fraction)
        train, valid, test = (
            ParticipationPart(view, part) for part in ("train", "valid", "test")
        )
        return train, valid, test


@dataclass(frozen=True, eq=False)
class _FoldView:
    """What the parts of a fold share: the tables of videos exist once."""

    dataset: ParticipationDataset
    data: FoldData
    validation_fraction: float

    @cached_property
    def examples(self) -> Examples:
        dataset, grid = self.dataset, self.dataset.grid
        challenges = challenge_sets(
            grid,
            dataset.features,
            dataset.vectors["challenge"],
            grid.settings["support_max"],
            self.data.fold.hidden_users,
        )
        users = user_sets(
            grid,
            dataset.features,
            dataset.vectors["user"],
            grid.settings["history_max"],
        )
        return pair_examples(dataset.pairs, challenges, users)


@dataclass(frozen=True, eq=False)
class ParticipationPart:
    """The training, validation or test pairs of a fold.

    No video of a user who is judged or validated as a newcomer describes a challenge
    in any of the three.

    Attributes:
        name: "train", "valid" or "test".
    """

    _view: _FoldView
    name: str

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        fold = self.data.fold
        return (
            f"<{self.name} part of {fold.split}, fold {fold.index}: {len(self)} pairs, "
            f"{int(self.labels.sum())} joined>"
        )

    @property
    def dataset(self) -> ParticipationDataset:
        """The dataset that was divided."""
        return self._view.dataset

    @property
    def data(self) -> FoldData:
        """The fold; equal for the three parts of a split."""
        return self._view.data

    @property
    def validation_fraction(self) -> float:
        """The share of the training data that was kept for validation."""
        return self._view.validation_fraction

    @property
    def rows(self) -> np.ndarray:
        """Positions of the pairs in `dataset.pairs`, int64 (num_pairs,)."""
        return np.asarray(getattr(self.data.fold, self.name))

    @property
    def labels(self) -> np.ndarray:
        """1 where the user joined, else 0; int32 (num_pairs,)."""
        return np.asarray(self.dataset.pairs.label[self.rows])

    @property
    def pairs(self) -> pl.DataFrame:
        """The pairs in order: `user_id`, `challenge` and `label`."""
        grid, pairs = self.dataset.grid, self.dataset.pairs
        return pl.DataFrame(
            {
                "user_id": [grid.users[u] for u in pairs.user[self.rows]],
                "challenge": [grid.challenges[c] for c in pairs.challenge[self.rows]],
                "label": self.labels,
            }
        )

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that `DeepChallenger` takes, by the name of its argument."""
        return pair_sizes(self._view.examples)

    def adapt(self, model: keras.Model) -> None:
        """Does nothing: `DeepChallenger` has no statistics of the data."""

    @property
    def examples(self) -> Examples:
        """The pairs as rows of shared tables, for `dc_keras.training.loop`."""
        return self._view.examples.take(self.rows)

    @property
    def challenge_table(self) -> tuple[np.ndarray, np.ndarray]:
        """What describes the challenges: vectors and validity.

        float32 (num_challenges, support_max, challenge_dim), zero where padded, and
        bool (num_challenges, support_max).
        """
        tables = self._view.examples.tables
        return tables["challenge"].numpy(), tables["challenge_valid"].numpy()

    def part(self, name: str) -> ParticipationPart:
        """Returns another part of the same fold: "train", "valid" or "test"."""
        return ParticipationPart(self._view, name)

    def to_tf(
        self,
        batch_size: int = TrainingOptions.batch_size,
        *,
        shuffle: bool | None = None,
        seed: int | None = None,
        class_weight: str = "none",
    ) -> tf.data.Dataset:
        """Returns the pairs as a dataset for Keras's `fit`, `evaluate` and `predict`.

        Args:
            batch_size: pairs of a batch; the last one may be smaller.
            shuffle: whether every epoch has an order of its own; None shuffles the
                training part alone.
            seed: of the shuffling; None for that of the fold.
            class_weight: "balanced" gives joiners and others the same total weight;
                "none" gives no weights.

        Returns:
            (inputs, label), or (inputs, label, weight) with "balanced". `inputs` are
            those of `DeepChallenger`; label int32 and weight float32 (batch_size,).

        Raises:
            DataError: the part has no pairs, or another `class_weight`.
        """
        if class_weight not in CLASS_WEIGHTS:
            raise DataError(
                f"`class_weight` must be one of {', '.join(CLASS_WEIGHTS)}. "
                f"Received: class_weight={class_weight!r}"
            )
        examples = self.examples
        _require_examples(examples, f"the {self.name} part")
        is_balanced = class_weight == "balanced"
        if is_balanced:
            weights = label_weights(examples.labels, class_weight)
            examples = Examples(
                examples.tables, examples.index, examples.labels, weights
            )
        return examples.keras_batches(
            batch_size,
            shuffle_seed=_shuffle_seed(self, shuffle, seed),
            has_weights=is_balanced,
        )

    def challenge_videos(self) -> VideoPart:
        """Returns the videos that the challenge proxy is fitted or judged on."""
        return VideoPart(self, "challenge")

    def user_videos(self) -> VideoPart:
        """Returns the videos that the user proxy is fitted or judged on."""
        return VideoPart(self, "user")


@dataclass(frozen=True, eq=False)
class VideoPart:
    """The videos of a proxy that belong to one part of a fold.

    Videos of validation and test users are in no part of a split by users. Outside
    `random_pair` no video is kept for the test part.

    Attributes:
        part: the part.
        kind: "challenge" or "user".
    """

    part: ParticipationPart
    kind: str

    @cached_property
    def task(self) -> ProxyTask:
        """Videos and classes of all parts."""
        return self.part.data.video_task(self.kind)

    @property
    def rows(self) -> np.ndarray:
        """Positions of this part's videos in `task`."""
        fraction = self.part.validation_fraction
        split = self.part.data.video_split(self.task, fraction)
        return split[("train", "valid", "test").index(self.part.name)]

    @property
    def variant(self) -> Variant:
        """Which features of a video the proxy sees."""
        return side_variants(self.part.dataset.features)[self.kind]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: challenges, or pseudonyms of users."""
        return self.task.classes

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that a proxy takes, by the name of its argument."""
        sizes = video_sizes(self.part.dataset.features, self.variant)
        return {"num_classes": len(self.classes), **sizes}

    def __len__(self) -> int:
        return len(self.rows)

    def adapt(self, model: keras.Model) -> None:
        """Sets the feature moments of a proxy to those of these videos."""
        rows = np.unique(self.task.rows[self.rows])
        set_moments(model, self.part.dataset.features, self.variant, rows)

    def to_tf(
        self,
        batch_size: int = TrainingOptions.batch_size,
        *,
        shuffle: bool | None = None,
        seed: int | None = None,
    ) -> tf.data.Dataset:
        """Returns the videos as a dataset for Keras.

        Args:
            batch_size: videos of a batch; the last one may be smaller.
            shuffle: as of `ParticipationPart.to_tf`.
            seed: as of `ParticipationPart.to_tf`.

        Returns:
            (inputs, class): the inputs of a proxy, and int32 (batch_size,).

        Raises:
            DataError: the part has no videos.
        """
        examples = proxy_examples(
            self.task, self.part.dataset.features, self.variant
        ).take(self.rows)
        _require_examples(
            examples, f"the {self.part.name} part of {self.part.data.fold.split}"
        )
        return examples.keras_batches(
            batch_size, shuffle_seed=_shuffle_seed(self.part, shuffle, seed)
        )


def _shuffle_seed(
    part: ParticipationPart, shuffle: bool | None, seed: int | None
) -> int | None:
    wanted = part.name == "train" if shuffle is None else shuffle
    if not wanted:
        return None
    return part.data.seed if seed is None else seed


def _require_examples(examples: Examples, what: str) -> None:
    if len(examples) == 0:
        raise DataError(f"{what} must have at least one example. Received: none")
