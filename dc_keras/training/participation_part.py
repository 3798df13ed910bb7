"""The pairs and videos of the parts of a fold, as datasets for Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import polars as pl
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.models.proxy import ChallengeProxy, UserProxy
from dc_keras.options import TrainingOptions
from dc_keras.training.dataset import Examples
from dc_keras.training.fold import FoldData
from dc_keras.training.fusion_training import deep_challenger_examples, pair_sizes
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    proxy_examples,
    set_moments,
    side_variants,
    video_sizes,
)

_PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False, kw_only=True)
class DatasetFold(FoldData):
    """A fold of a `ParticipationDataset`; the tables of videos exist once.

    Attributes:
        get_vectors: returns the vectors of all videos; see `ParticipationDataset`.
        validation_fraction: share of the training data that is kept for validation.
    """

    get_vectors: Callable[[], Mapping[str, np.ndarray]]
    validation_fraction: float

    @cached_property
    def examples(self) -> Examples:
        """All pairs of the fold as the inputs of `DeepChallenger`."""
        return deep_challenger_examples(self, self.get_vectors())


@dataclass(frozen=True, eq=False)
class VideoPart:
    """The videos of a proxy that belong to one part of a fold.

    Videos of validation and test users are in no part of a split by users. Outside
    `random_pair` no video is kept for the test part.

    Attributes:
        data: the fold.
        kind: "challenge" or "user".
        name: of the part: "train", "valid" or "test".
    """

    data: DatasetFold
    kind: str
    name: str

    @cached_property
    def task(self) -> ProxyTask:
        """Videos and classes of all parts."""
        return self.data.video_task(self.kind)

    @property
    def rows(self) -> np.ndarray:
        """Positions of this part's videos in `task`."""
        split = self.data.video_split(self.task, self.data.validation_fraction)
        return split[_PARTS.index(self.name)]

    @property
    def variant(self) -> Variant:
        """Which features of a video the proxy sees."""
        return side_variants(self.data.table)[self.kind]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: challenges, or pseudonyms of users."""
        return self.task.classes

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that a proxy takes, by the name of its argument."""
        sizes = video_sizes(self.data.table, self.variant)
        return {"num_classes": len(self.classes), **sizes}

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        # Without the fold, which has captions of people.
        fold = self.data.fold
        return (
            f"<{self.kind} videos, {self.name} part of {fold.split}, fold "
            f"{fold.index}: {len(self)} videos, {len(self.classes)} classes>"
        )

    def adapt(self, model: keras.Model) -> None:
        """Sets the feature moments of a proxy to those of these videos.

        Raises:
            TypeError: it is the proxy of the other side.
        """
        other = UserProxy if self.kind == "challenge" else ChallengeProxy
        if isinstance(model, other):
            raise TypeError(
                f"`data` of {other.__name__} must be {other.DATA} of a split. "
                f"Received: {self!r}"
            )
        rows = np.unique(self.task.rows[self.rows])
        set_moments(model, self.data.table, self.variant, rows)

    def to_tf(self, batch_size: int = TrainingOptions.batch_size) -> tf.data.Dataset:
        """Returns the videos as a dataset for Keras; the training part is shuffled.

        Args:
            batch_size: videos of a batch; the last one may be smaller.

        Returns:
            (inputs, class): the inputs of a proxy, and int32 (batch_size,).

        Raises:
            DataError: the part has no videos, or `batch_size` is outside its range.
        """
        examples = proxy_examples(self.task, self.data.table, self.variant)
        return _batches(examples.take(self.rows), self, batch_size)


def _batches(
    examples: Examples, part: VideoPart | ParticipationPart, batch_size: int
) -> tf.data.Dataset:
    if len(examples) == 0:
        raise DataError(
            f"the {part.name} part of {part.data.fold.split} must have at least one "
            "example. Received: none"
        )
    seed = part.data.seed if part.name == "train" else None
    return examples.keras_batches(batch_size, seed)


@dataclass(frozen=True, eq=False)
class ParticipationPart:
    """The training, validation or test pairs of a fold.

    No video of a user who is judged or validated as a newcomer describes a challenge
    in any of the three.

    Attributes:
        data: the fold; equal for the three parts of a split.
        name: "train", "valid" or "test".
    """

    data: DatasetFold
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
    def rows(self) -> np.ndarray:
        """Positions of the pairs in `data.pairs`, int64 (num_pairs,)."""
        return np.asarray(getattr(self.data.fold, self.name))

    @property
    def labels(self) -> np.ndarray:
        """1 where the user joined, else 0; int32 (num_pairs,)."""
        return np.asarray(self.data.pairs.label[self.rows])

    @property
    def pairs(self) -> pl.DataFrame:
        """The pairs in order: `user_id`, `challenge` and `label`."""
        grid, pairs = self.data.grid, self.data.pairs
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
        return pair_sizes(self.data.examples)

    def adapt(self, model: keras.Model) -> None:
        """Does nothing: `DeepChallenger` has no statistics of the data."""

    @property
    def examples(self) -> Examples:
        """The pairs as rows of shared tables, for `dc_keras.training.loop`."""
        return self.data.examples.take(self.rows)

    @property
    def challenge_table(self) -> tuple[np.ndarray, np.ndarray]:
        """What describes the challenges: vectors and validity.

        float32 (num_challenges, support_max, challenge_dim), zero where padded, and
        bool (num_challenges, support_max).
        """
        tables = self.data.examples.tables
        return tables["challenge"].numpy(), tables["challenge_valid"].numpy()

    def part(self, name: str) -> ParticipationPart:
        """Returns another part of the same fold: "train", "valid" or "test".

        Raises:
            DataError: another name.
        """
        if name not in _PARTS:
            raise DataError(
                f"`name` must be one of {', '.join(_PARTS)}. Received: name={name!r}"
            )
        return ParticipationPart(self.data, name)

    def to_tf(self, batch_size: int = TrainingOptions.batch_size) -> tf.data.Dataset:
        """Returns the pairs as a dataset for Keras's `fit`, `evaluate` and `predict`.

        Every pass over the training part has an order of its own.

        Args:
            batch_size: pairs of a batch; the last one may be smaller.

        Returns:
            (inputs, label): the inputs of `DeepChallenger`, and int32 (batch_size,).

        Raises:
            DataError: the part has no pairs, or `batch_size` is outside its range.
        """
        return _batches(self.examples, self, batch_size)

    def challenge_videos(self) -> VideoPart:
        """Returns the videos that the challenge proxy is fitted or judged on."""
        return VideoPart(self.data, "challenge", self.name)

    def user_videos(self) -> VideoPart:
        """Returns the videos that the user proxy is fitted or judged on."""
        return VideoPart(self.data, "user", self.name)
