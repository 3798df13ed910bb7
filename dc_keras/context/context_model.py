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
from dc_keras.context.tree_bins import RankedFeatures
from dc_keras.context.trees import BoostedTrees, fit_trees, with_unknown
from dc_keras.errors import DataError

GROUPS = (*dict.fromkeys(name.partition("/")[0] for name in NAMES), "trees")
TREES = "trees/boosted"
# Name of the log-odds of the fusion of videos, as a feature.
VIDEOS = "videos/fusion"
# Number of pairs that are scored at once.
_BLOCK = 2**16
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
        self._columns = _columns(chosen)

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
        """Returns the log-odds of joining, float32 (batch_size,); see `log_odds`.

        `features` are the chosen context features, float32 (batch_size, num_chosen).
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
    """A fitted context model, and the trees that score the pairs of its fold.

    Attributes:
        model: the fitted model.
        features: the context features of the fold.
        trees: the trees of each step of the plan; None for a model without trees, and
            for a step without sampled pairs to fit on.
        videos: float (num_pairs,), log-odds of the fusion of videos, or None.
    """

    model: ContextModel
    features: ContextFeatures
    trees: Sequence[BoostedTrees | None] | None
    videos: np.ndarray | None

    def log_odds(self, rows: np.ndarray) -> np.ndarray:
        """Returns log-odds of pairs, float32 (len(rows),).

        Training and validation pairs are scored out of fold. `rows` are positions.
        """
        columns = _columns(self.model.chosen)
        log_odds = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            values = self.features.values_of(block)[:, columns]
            step_of = self.features.step_of[block]
            videos = None if self.videos is None else self.videos[block]
            inputs = _join(values, self.trees, step_of, videos)
            log_odds[start : start + _BLOCK] = self.model.combination(
                with_unknown(inputs)
            )
        return log_odds


def fit_context(
    features: ContextFeatures,
    groups: Sequence[str],
    videos: np.ndarray | None,
    seed: int,
) -> FittedContext:
    """Fits a context model on the sampled training pairs of a fold.

    Args:
        features: context features of all pairs of the fold.
        groups: some of `GROUPS`, or single features of `NAMES`.
        videos: float (num_pairs,), log-odds of the fusion of videos, out of fold for
            training pairs, NaN where unknown; None for a model without videos.
        seed: seed of the trees.

    Raises:
        DataError: if there are no features and no videos.
    """
    chosen = [n for n in NAMES if n in groups or n.partition("/")[0] in groups]
    if not chosen and videos is None:
        raise DataError(
            f"a model must use context features or videos. Received: {groups=}"
        )
    columns, sampled, train = _columns(chosen), features.sampled, features.train
    values = features.values_of(sampled)[:, columns]
    dropped = features.dropped[:, columns]
    names, trees = list(chosen), None
    if "trees" in groups and chosen:
        trees = _fit_trees(features, np.concatenate([values, dropped]), seed)
        names.append(TREES)
    if videos is not None:
        names.append(VIDEOS)
    step_of = features.step_of[train]
    of_videos = None if videos is None else videos[train]
    own = values[np.searchsorted(sampled, train)]
    label = features.data.evidence.pairs.label[train]
    combination = fit_combination(
        names,
        np.concatenate([_join(v, trees, step_of, of_videos) for v in (own, dropped)]),
        np.concatenate([label, label]),
        np.repeat([1.0, _DROPPED_WEIGHT], len(train)),
    )
    model = ContextModel(
        features.space,
        features.pair_features,
        chosen,
        trees[0] if trees else None,
        combination,
    )
    return FittedContext(model, features, trees, videos)


def _columns(chosen: Sequence[str]) -> np.ndarray:
    return np.array([NAMES.index(name) for name in chosen], np.int32)


def _fit_trees(
    features: ContextFeatures, values: np.ndarray, seed: int
) -> list[BoostedTrees | None]:
    """Returns the trees of each step; None if no pair that it fits on was sampled.

    `values` are the chosen features of the sampled pairs, followed by those of the
    sampled training pairs with dropout.
    """
    parts = (features.sampled, features.train)
    pairs = np.concatenate(parts)
    label = features.data.evidence.pairs.label[pairs]
    weight = np.repeat([1.0, _DROPPED_WEIGHT], [len(part) for part in parts])
    ranked = RankedFeatures(values)
    trees: list[BoostedTrees | None] = []
    for step in features.steps:
        rows = np.flatnonzero(np.isin(pairs, step.fitted))
        fitted = None
        if len(rows):
            fitted = fit_trees(ranked, rows, label[rows], weight[rows], seed)
        trees.append(fitted)
    return trees


def _join(
    values: np.ndarray,
    trees: Sequence[BoostedTrees | None] | None,
    step_of: np.ndarray,
    videos: np.ndarray | None,
) -> np.ndarray:
    """Returns the inputs of the combination, float32 (num_pairs, num_names).

    `step_of` is the number of the step whose trees score a pair, or -1.
    """
    columns = [values]
    if trees is not None:
        scores = np.full((len(values), 1), np.nan, np.float32)
        for number, of_step in enumerate(trees):
            rows = np.flatnonzero(step_of == number)
            if of_step is not None:
                scores[rows, 0] = of_step.score(values[rows])
        columns.append(scores)
    if videos is not None:
        columns.append(videos[:, None])
    return np.concatenate(columns, axis=1)
