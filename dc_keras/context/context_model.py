"""The context model: log-odds of joining from the vectors of a user and a challenge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from dc_keras.context.combination import Combination, fit_combination
from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.pair_features import NAMES, PairFeatures, PairLayout
from dc_keras.context.post_vectors import PostSpace
from dc_keras.context.set_vectors import SetLayout
from dc_keras.context.trees import BoostedTrees, fit_trees, with_unknown
from dc_keras.errors import DataError

GROUPS = (*dict.fromkeys(name.partition("/")[0] for name in NAMES), "trees")
TREES = "trees/boosted"
# Name of the log-odds of the fusion of videos, as a feature.
VIDEOS = "videos/fusion"
# Weight of a training pair with fact dropout, relative to one without.
_DROPPED_WEIGHT = 0.5


class ContextModel(tf.Module):
    """Combines context features, boosted trees on them, and the fusion of videos.

    Args:
        space: the embedding of posts.
        pairs: the computation of context features.
        chosen: names of the context features that are used.
        trees: trees on the chosen features, or None.
        combination: logistic regression on the chosen features, on `TREES` if there are
            trees, and on `VIDEOS` if the fusion of videos is used.
    """

    def __init__(
        self,
        space: PostSpace,
        pairs: PairFeatures,
        chosen: Sequence[str],
        trees: BoostedTrees | None,
        combination: Combination,
    ) -> None:
        super().__init__(name="context_model")
        self.space = space
        self.pairs = pairs
        self.chosen = tuple(chosen)
        self.trees = trees
        self.combination = combination
        self._columns = np.array([NAMES.index(name) for name in chosen], np.int32)

    @property
    def has_videos(self) -> bool:
        """Whether the model uses the fusion of videos."""
        return VIDEOS in self.combination.names

    def log_odds(
        self, users: tf.Tensor, challenges: tf.Tensor, videos: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the log-odds of joining, float32 (batch_size,).

        Args:
            users: float32 (batch_size, user_width), see `pair_features`.
            challenges: float32 (batch_size or 1, challenge_width).
            videos: float32 (batch_size,), log-odds of the fusion of videos; None if the
                model does not use it.
        """
        features = self.pairs(users, challenges)
        return self.weigh(tf.gather(features, self._columns, axis=1), videos)

    def weigh(self, features: tf.Tensor, videos: tf.Tensor | None) -> tf.Tensor:
        """Returns the log-odds of joining, float32 (batch_size,).

        Args:
            features: float32 (batch_size, num_chosen), the chosen context features.
            videos: see `log_odds`.
        """
        columns = [features]
        if self.trees is not None:
            columns.append(self.trees(features)[:, None])
        if videos is not None and self.has_videos:
            columns.append(videos[:, None])
        return self.combination(tf.concat(columns, axis=1))

    def save(self, path: Path) -> None:
        """Writes all weights as a NumPy archive without pickled objects."""
        arrays = {
            f"{part}/{name}": value
            for part, weights in self._parts().items()
            for name, value in weights.items()
        }
        layout = self.pairs.layout
        config = {
            "chosen": self.chosen,
            "combined": self.combination.names,
            "blocks": layout.user.blocks,
            "history_max": layout.user.num_days,
            "support_max": layout.challenge.num_days,
            "num_challenges": layout.num_challenges,
        }
        arrays["config"] = np.array(json.dumps(config))
        temporary = path.with_name(f"tmp-{path.name}")
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a model from the file of `save`.

        Raises:
            DataError: if the file is missing or is not a context model.
        """
        try:
            # NumPy does not close the file of a broken archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            return cls._of_arrays(arrays)
        except (
            *(OSError, EOFError, BadZipFile),
            *(KeyError, TypeError, ValueError),
        ) as error:
            raise DataError(
                f"a context model must be a file from `train`. Received: {path=!s}"
            ) from error

    @classmethod
    def _of_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        config: dict[str, Any] = json.loads(str(arrays.pop("config")))
        parts: dict[str, dict[str, np.ndarray]] = {}
        for key, value in arrays.items():
            part, _, name = key.partition("/")
            parts.setdefault(part, {})[name] = value
        blocks = tuple(config["blocks"])
        layout = PairLayout(
            SetLayout(blocks, config["history_max"]),
            SetLayout(blocks, config["support_max"]),
            config["num_challenges"],
        )
        return cls(
            PostSpace(parts["space"]),
            PairFeatures(layout, parts["pairs"]),
            config["chosen"],
            BoostedTrees(parts["trees"]) if "trees" in parts else None,
            Combination(config["combined"], parts["combination"]),
        )

    def _parts(self) -> dict[str, Mapping[str, np.ndarray]]:
        parts: dict[str, Mapping[str, np.ndarray]] = {
            "space": self.space.weights,
            "pairs": self.pairs.weights,
            "combination": self.combination.weights,
        }
        if self.trees is not None:
            parts["trees"] = self.trees.weights
        return parts


@dataclass(frozen=True)
class FittedContext:
    """A fitted context model and its predictions for the pairs of its fold.

    Attributes:
        model: the fitted model.
        log_odds: float32 (num_pairs,); out of fold for training and validation pairs.
    """

    model: ContextModel
    log_odds: np.ndarray


def fit_context(
    features: ContextFeatures,
    groups: Sequence[str],
    videos: np.ndarray | None,
    seed: int,
) -> FittedContext:
    """Fits a context model on the training pairs of a fold.

    Args:
        features: context features of all pairs of the fold.
        groups: groups of features to use, some of `GROUPS`, or single features of
            `NAMES`.
        videos: float (num_pairs,), log-odds of the fusion of videos, out of fold for
            training pairs, NaN where unknown; None for a model without videos.
        seed: seed of the trees.

    Raises:
        DataError: if there are no features and no videos.
    """
    chosen = [n for n in NAMES if n in groups or n.partition("/")[0] in groups]
    columns = [NAMES.index(name) for name in chosen]
    if not chosen and videos is None:
        raise DataError(
            f"a model must use context features or videos. Received: {groups=}"
        )
    values, dropped = features.values[:, columns], features.dropped[:, columns]
    names, trees = list(chosen), None
    if "trees" in groups and chosen:
        trees, of_values, of_dropped = _fit_trees(features, values, dropped, seed)
        values = np.concatenate([values, of_values[:, None]], axis=1)
        dropped = np.concatenate([dropped, of_dropped[:, None]], axis=1)
        names.append(TREES)
    if videos is not None:
        values = np.concatenate([values, videos[:, None]], axis=1)
        dropped = np.concatenate([dropped, videos[features.train, None]], axis=1)
        names.append(VIDEOS)
    train = features.train
    label = features.data.evidence.pairs.label[train]
    combination = fit_combination(
        names,
        np.concatenate([values[train], dropped]),
        np.concatenate([label, label]),
        np.repeat([1.0, _DROPPED_WEIGHT], len(train)),
    )
    model = ContextModel(
        features.space, features.pair_features, chosen, trees, combination
    )
    return FittedContext(model, combination(with_unknown(values)).numpy())


def _fit_trees(
    features: ContextFeatures, values: np.ndarray, dropped: np.ndarray, seed: int
) -> tuple[BoostedTrees, np.ndarray, np.ndarray]:
    """Returns trees, and out-of-fold scores of all pairs and of dropout pairs."""
    label = features.data.evidence.pairs.label
    # The row of each pair in `dropped`, −1 for pairs that are not in training.
    row = np.full(len(label), -1)
    row[features.train] = np.arange(len(features.train))
    of_values = np.full(len(label), np.nan, np.float32)
    of_dropped = np.full(len(dropped), np.nan, np.float32)
    final: BoostedTrees | None = None
    for step in features.steps:
        fitted = step.fitted
        training = fitted[row[fitted] >= 0]
        trees = fit_trees(
            np.concatenate([values[fitted], dropped[row[training]]]),
            np.concatenate([label[fitted], label[training]]),
            np.repeat([1.0, _DROPPED_WEIGHT], [len(fitted), len(training)]),
            seed,
        )
        final = final or trees
        of_values[step.scored] = trees(with_unknown(values[step.scored])).numpy()
        inner = row[step.scored][row[step.scored] >= 0]
        of_dropped[inner] = trees(with_unknown(dropped[inner])).numpy()
    if final is None:
        raise DataError("a fold must have pairs to fit on. Received: steps=0")
    return final, of_values, of_dropped
