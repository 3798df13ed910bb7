"""A corpus, a study and features as datasets for Keras.

    data = ParticipationDataset(corpus, study, features)
    train, valid, test = data.split("cold_user", fold=0)
    model.fit(train.to_tf(512), validation_data=valid.to_tf(512))

The folds, and what may describe a challenge in each, are those of `evaluate`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import keras
import numpy as np

from dc_keras.context.post_features import PostFacts, read_facts
from dc_keras.corpus.store import Corpus
from dc_keras.errors import DataError, require_type
from dc_keras.features import Features
from dc_keras.models.proxy import ChallengeProxy, UserProxy
from dc_keras.options import ProtocolOptions, TrainingOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import named_joins, resolve_study
from dc_keras.study.splits import make_folds
from dc_keras.study.study import Study, SupportRule
from dc_keras.study.temporal import resolve_temporal
from dc_keras.training.fusion_training import video_vectors
from dc_keras.training.participation_part import DatasetFold, ParticipationPart
from dc_keras.training.proxy_training import embed_sides, side_variants


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
        TypeError: an argument has another type.
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
        require_type("corpus", corpus, Corpus)
        require_type("study", study, Study)
        require_type("features", features, Features)
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

    # Computed when a model of vectors asks for them: `fit_participation` does not.
    @cached_property
    def vectors(self) -> Mapping[str, np.ndarray]:
        """See the class."""
        return {
            side: video_vectors(self.features, variant)
            for side, variant in side_variants(self.features).items()
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

        Raises:
            TypeError: the two are swapped, or one is no Keras model.
        """
        require_type("challenge_proxy", challenge_proxy, keras.Model)
        require_type("user_proxy", user_proxy, keras.Model)
        if isinstance(challenge_proxy, UserProxy) or isinstance(
            user_proxy, ChallengeProxy
        ):
            raise TypeError(
                "`challenge_proxy` comes first, `user_proxy` second. Received: "
                f"{type(challenge_proxy).__name__}, {type(user_proxy).__name__}"
            )
        other = copy.copy(self)
        proxies = {"challenge": challenge_proxy, "user": user_proxy}
        other.vectors = embed_sides(proxies, self.features)
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
            DataError: there is no such split or fold, too few users or challenges for
                it, or a number is outside its range.
        """
        # The same ranges as those of the flags.
        TrainingOptions(validation_fraction=validation_fraction, seed=seed)
        ProtocolOptions(num_folds=num_folds)
        folds = make_folds(
            self.grid, self.pairs, name, num_folds, validation_fraction, seed
        )
        if fold not in range(len(folds)):
            raise DataError(
                f"`fold` of {name} must be 0 to {len(folds) - 1}. "
                f"Received: fold={fold!r}"
            )
        data = DatasetFold(
            self.grid,
            self.features,
            self.facts,
            folds[fold],
            seed * 1000 + fold,
            self.key_fingerprint,
            get_vectors=lambda: self.vectors,
            validation_fraction=validation_fraction,
        )
        train, valid, test = (
            ParticipationPart(data, part) for part in ("train", "valid", "test")
        )
        return train, valid, test
