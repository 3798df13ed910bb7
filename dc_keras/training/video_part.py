"""The videos that a proxy is fitted or judged on, as a dataset for Keras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.options import TrainingOptions
from dc_keras.training.dataset import Examples
from dc_keras.training.fold_fitting import FoldData
from dc_keras.training.proxy_training import (
    ProxyTask,
    Variant,
    proxy_examples,
    set_moments,
    side_variants,
    video_sizes,
)


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
        return split[("train", "valid", "test").index(self.name)]

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

    def adapt(self, model: keras.Model) -> None:
        """Sets the feature moments of a proxy to those of these videos."""
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
            DataError: the part has no videos.
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
