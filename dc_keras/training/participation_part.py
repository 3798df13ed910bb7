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
from dc_keras.training.fold_fitting import FoldData
from dc_keras.training.fusion_training import (
    challenge_sets,
    label_weights,
    pair_examples,
    pair_sizes,
    user_sets,
)
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    proxy_examples,
    set_moments,
    side_variants,
    video_sizes,
)

CLASS_WEIGHTS = ("none", "balanced")
_PARTS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class VideoPart:
    """The videos of a proxy that belong to one part of a fold.

    Videos of validation and test users are in no part of a split by users. Outside
    `random_pair` no video is kept for the test part.

    Attributes:
        data: the fold.
        kind: "challenge" or "user".
        name: of the part: "train", "valid" or "test".
        validation_fraction: share of the videos that is kept for validation.
    """

    data: FoldData
    kind: str
    name: str
    validation_fraction: float

    @cached_property
    def task(self) -> ProxyTask:
        """Videos and classes of all parts."""
        return self.data.video_task(self.kind)

    @property
    def rows(self) -> np.ndarray:
        """Positions of this part's videos in `task`."""
        split = self.data.video_split(self.task, self.validation_fraction)
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
            DataError: the part has no videos, or `batch_size` is outside its range.
        """
        examples = proxy_examples(self.task, self.data.table, self.variant).take(
            self.rows
        )
        require_examples(examples, f"the {self.name} part of {self.data.fold.split}")
        return examples.keras_batches(
            batch_size, shuffle_seed=shuffle_seed(self.name, self.data, shuffle, seed)
        )


def shuffle_seed(
    name: str, data: FoldData, shuffle: bool | None, seed: int | None
) -> int | None:
    """Returns the seed of the order of a part's examples; None keeps their order.

    Args:
        name: of the part; only the training part is shuffled where `shuffle` is None.
        data: the fold, whose seed stands in for a missing one.
        shuffle: whether to shuffle, or None.
        seed: the seed, or None.
    """
    wanted = name == "train" if shuffle is None else shuffle
    if not wanted:
        return None
    return data.seed if seed is None else seed


def require_examples(examples: Examples, what: str) -> None:
    """Refuses an empty set of examples.

    Raises:
        DataError: it is empty.
    """
    if len(examples) == 0:
        raise DataError(f"{what} must have at least one example. Received: none")


@dataclass(frozen=True, eq=False)
class FoldView:
    """What the parts of a fold share: the tables of videos exist once.

    Attributes:
        data: the fold.
        get_vectors: returns the vectors of all videos; see `ParticipationDataset`.
        validation_fraction: share of the training data that is kept for validation.
        key_fingerprint: of the corpus's pseudonyms.
    """

    data: FoldData
    get_vectors: Callable[[], Mapping[str, np.ndarray]]
    validation_fraction: float
    key_fingerprint: str

    @cached_property
    def examples(self) -> Examples:
        """All pairs of the fold as the inputs of `DeepChallenger`."""
        grid, features, vectors = self.data.grid, self.data.table, self.get_vectors()
        challenges = challenge_sets(
            grid,
            features,
            vectors["challenge"],
            grid.settings["support_max"],
            self.data.fold.hidden_users,
        )
        users = user_sets(grid, features, vectors["user"], grid.settings["history_max"])
        return pair_examples(self.data.pairs, challenges, users)


@dataclass(frozen=True, eq=False)
class ParticipationPart:
    """The training, validation or test pairs of a fold.

    No video of a user who is judged or validated as a newcomer describes a challenge
    in any of the three.

    Attributes:
        name: "train", "valid" or "test".
    """

    _view: FoldView
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
    def data(self) -> FoldData:
        """The fold; equal for the three parts of a split."""
        return self._view.data

    @property
    def key_fingerprint(self) -> str:
        """Tells which key made the pseudonyms of the corpus."""
        return self._view.key_fingerprint

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
        """Returns another part of the same fold: "train", "valid" or "test".

        Raises:
            DataError: another name.
        """
        if name not in _PARTS:
            raise DataError(
                f"`name` must be one of {', '.join(_PARTS)}. Received: name={name!r}"
            )
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
            DataError: the part has no pairs, another `class_weight`, or `batch_size` is
                outside its range.
        """
        if class_weight not in CLASS_WEIGHTS:
            raise DataError(
                f"`class_weight` must be one of {', '.join(CLASS_WEIGHTS)}. "
                f"Received: class_weight={class_weight!r}"
            )
        examples = self.examples
        require_examples(examples, f"the {self.name} part")
        is_balanced = class_weight == "balanced"
        if is_balanced:
            weights = label_weights(examples.labels, class_weight)
            examples = Examples(
                examples.tables, examples.index, examples.labels, weights
            )
        return examples.keras_batches(
            batch_size,
            shuffle_seed=shuffle_seed(self.name, self.data, shuffle, seed),
            has_weights=is_balanced,
        )

    def challenge_videos(self) -> VideoPart:
        """Returns the videos that the challenge proxy is fitted or judged on."""
        return self._videos("challenge")

    def user_videos(self) -> VideoPart:
        """Returns the videos that the user proxy is fitted or judged on."""
        return self._videos("user")

    def _videos(self, kind: str) -> VideoPart:
        return VideoPart(self.data, kind, self.name, self._view.validation_fraction)
