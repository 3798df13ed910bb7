"""The context model: from a user's and a challenge's vector to log-odds of joining."""

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
# What the fusion of videos says of a pair.
VIDEOS = "videos/fusion"
# What a question with some facts left out weighs beside a whole one.
_DROPPED_WEIGHT = 0.5


class ContextModel(tf.Module):
    """Weighs context features, boosted trees on them, and what the videos say.

    Args:
        space: embeds posts.
        pairs: computes context features.
        chosen: names of those that are weighed.
        trees: of the chosen features, or None.
        combination: of the chosen features, `TREES` if there are trees, and `VIDEOS` if
            the videos are weighed.
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
        """Whether it weighs what the videos say."""
        return VIDEOS in self.combination.names

    def log_odds(
        self, users: tf.Tensor, challenges: tf.Tensor, videos: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the log-odds of joining, float32 (batch_size,).

        Args:
            users: float32 (batch_size, user_width), see `pairs`.
            challenges: float32 (batch_size or 1, challenge_width).
            videos: float32 (batch_size,), the log-odds of the fusion of videos; None
                where the model does not weigh them.
        """
        features = self.pairs(users, challenges)
        return self.weigh(tf.gather(features, self._columns, axis=1), videos)

    def weigh(self, features: tf.Tensor, videos: tf.Tensor | None) -> tf.Tensor:
        """Returns the log-odds of pairs from their chosen features; see `log_odds`."""
        columns = [features]
        if self.trees is not None:
            columns.append(self.trees(features)[:, None])
        if videos is not None and self.has_videos:
            columns.append(videos[:, None])
        return self.combination(tf.concat(columns, axis=1))

    def save(self, path: Path) -> None:
        """Writes all weights, a NumPy archive without pickled objects."""
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
        """Reads what `save` wrote.

        Raises:
            DataError: it is no such file.
        """
        try:
            # NumPy leaves the file of a broken archive open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            return cls._of_arrays(arrays)
        except (
            *(OSError, EOFError, BadZipFile),
            *(KeyError, TypeError, ValueError),
        ) as error:
            raise DataError(
                "a context model must be a file that `train` wrote. "
                f"Received: path={path}"
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
    """A context model and what it says of the pairs of its fold.

    Attributes:
        model: fitted.
        log_odds: float32 (num_pairs,), of training and validation pairs by models that
            have not seen them.
    """

    model: ContextModel
    log_odds: np.ndarray


def fit_context(
    features: ContextFeatures,
    groups: Sequence[str],
    videos: np.ndarray | None,
    seed: int,
) -> FittedContext:
    """Fits trees and weights on the training pairs of a fold.

    Args:
        features: of all its pairs.
        groups: some of `GROUPS`, or single features of `NAMES`.
        videos: float (num_pairs,), log-odds of the fusion of videos, out of fold for
            training pairs, NaN where unknown; None weighs context alone.
        seed: of the trees.

    Raises:
        DataError: neither a group of features nor the videos are left.
    """
    chosen = [n for n in NAMES if n in groups or n.partition("/")[0] in groups]
    columns = [NAMES.index(name) for name in chosen]
    if not chosen and videos is None:
        raise DataError(f"a model must see something. Received: groups={groups}")
    whole, part = features.values[:, columns], features.dropped[:, columns]
    names, trees = list(chosen), None
    if "trees" in groups and chosen:
        trees, of_whole, of_part = _fit_trees(features, whole, part, seed)
        whole = np.concatenate([whole, of_whole[:, None]], axis=1)
        part = np.concatenate([part, of_part[:, None]], axis=1)
        names.append(TREES)
    if videos is not None:
        whole = np.concatenate([whole, videos[:, None]], axis=1)
        part = np.concatenate([part, videos[features.train, None]], axis=1)
        names.append(VIDEOS)
    train = features.train
    label = features.data.evidence.pairs.label[train]
    combination = fit_combination(
        names,
        np.concatenate([whole[train], part]),
        np.concatenate([label, label]),
        np.repeat([1.0, _DROPPED_WEIGHT], len(train)),
    )
    model = ContextModel(
        features.space, features.pair_features, chosen, trees, combination
    )
    return FittedContext(model, combination(with_unknown(whole)).numpy())


def _fit_trees(
    features: ContextFeatures, whole: np.ndarray, part: np.ndarray, seed: int
) -> tuple[BoostedTrees, np.ndarray, np.ndarray]:
    """Fits trees, and scores whole and dropped questions out of fold."""
    label = features.data.evidence.pairs.label
    place = np.full(len(label), -1)
    place[features.train] = np.arange(len(features.train))
    of_whole = np.full(len(label), np.nan, np.float32)
    of_part = np.full(len(part), np.nan, np.float32)
    kept: BoostedTrees | None = None
    for step in features.steps:
        fitted = step.fitted
        known = fitted[place[fitted] >= 0]
        trees = fit_trees(
            np.concatenate([whole[fitted], part[place[known]]]),
            np.concatenate([label[fitted], label[known]]),
            np.repeat([1.0, _DROPPED_WEIGHT], [len(fitted), len(known)]),
            seed,
        )
        kept = kept or trees
        of_whole[step.scored] = trees(with_unknown(whole[step.scored])).numpy()
        inner = place[step.scored][place[step.scored] >= 0]
        of_part[inner] = trees(with_unknown(part[inner])).numpy()
    if kept is None:
        raise DataError("a fold must have pairs to fit on. Received: steps=0")
    return kept, of_whole, of_part
