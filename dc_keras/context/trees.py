"""Gradient-boosted trees as arrays: fitted by scikit-learn, computed by TensorFlow.

A comparison with a threshold is softened within `_SOFTNESS` standard deviations around
it. The last bit of a feature may differ between two machines or two batch sizes; a hard
comparison could make that bit a different answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from dc_keras.context.post_vectors import UNKNOWN
from dc_keras.context.set_vectors import is_known

_DEPTH = 3
_NUM_SPLITS = 2**_DEPTH - 1
_SOFTNESS = 1e-3
_LEAST_RATE = 1e-4
# Chosen on training rows of the real benchmark (docs/results.md).
_SETTINGS = {
    "learning_rate": 0.1,
    "max_iter": 75,
    "max_depth": _DEPTH,
    "max_leaf_nodes": 2**_DEPTH,
    "min_samples_leaf": 60,
    "l2_regularization": 5.0,
}


class BoostedTrees(tf.Module):
    """Complete binary trees of depth three, summed.

    Args:
        weights: arrays by name: `feature` int32 (num_trees, 7), which feature each
            split looks at, in level order; `threshold` and `unknown_left` float32
            alike, where it splits and whether an unknown feature goes left; `leaf`
            float32 (num_trees, 8), what each leaf adds; `scale` float32
            (num_features,), standard deviations; `bias` float32 ().
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name="boosted_trees")
        self.weights = {name: np.asarray(value) for name, value in weights.items()}
        feature, threshold = self.weights["feature"], self.weights["threshold"]
        width = np.maximum(_SOFTNESS * self.weights["scale"][feature], 1e-9)
        constants = {
            "feature": feature.T.astype(np.int32),
            "threshold": threshold.T.astype(np.float32),
            "steepness": (1 / width).T.astype(np.float32),
            "unknown_left": self.weights["unknown_left"].T.astype(np.float32),
            "leaf": self.weights["leaf"].T.astype(np.float32),
        }
        self._variables = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in constants.items()
        }

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Returns log-odds, float32 (batch_size,).

        Args:
            features: float32 (batch_size, num_features), `UNKNOWN` where unknown.
        """
        v = self._variables
        lefts = [self._goes_left(features, split) for split in range(_NUM_SPLITS)]
        values: list[tf.Tensor] = [v["leaf"][i][None] for i in range(_NUM_SPLITS + 1)]
        for level in reversed(range(_DEPTH)):
            first = 2**level - 1
            values = [
                values[2 * i + 1]
                + lefts[first + i] * (values[2 * i] - values[2 * i + 1])
                for i in range(2**level)
            ]
        total = values[0] @ tf.ones((values[0].shape[1], 1))
        return total[:, 0] + float(self.weights["bias"])

    def _goes_left(self, features: tf.Tensor, split: int) -> tf.Tensor:
        """How far each row goes left at a split of each tree, in [0, 1]."""
        v = self._variables
        seen = tf.gather(features, v["feature"][split], axis=1)
        left = (v["threshold"][split] - seen) * v["steepness"][split] + 0.5
        left = tf.clip_by_value(left, 0.0, 1.0)
        return tf.where(is_known(seen), left, v["unknown_left"][split])


def fit_trees(
    features: np.ndarray, label: np.ndarray, weight: np.ndarray, seed: int
) -> BoostedTrees:
    """Fits trees.

    Args:
        features: float32 (num_rows, num_features), NaN where unknown.
        label: 0 or 1, (num_rows,).
        weight: of each row, float (num_rows,).
        seed: of the trees.
    """
    columns = np.flatnonzero(~np.isnan(features).all(axis=0))
    if label.min() == label.max() or len(columns) == 0:
        rate = np.clip(np.average(label, weights=weight), _LEAST_RATE, 1 - _LEAST_RATE)
        return BoostedTrees(_no_trees(features.shape[1], np.log(rate / (1 - rate))))
    trees = HistGradientBoostingClassifier(**_SETTINGS, random_state=seed)
    # Folds run side by side, and threads that wait for each other lose more.
    with threadpool_limits(1, user_api="openmp"):
        trees.fit(features[:, columns], label, sample_weight=weight)
    # scikit-learn keeps its trees in private attributes; skl2onnx reads them too.
    nodes = [predictor.nodes for [predictor] in trees._predictors]
    parts = [_complete(tree, columns) for tree in nodes]
    names = ("feature", "threshold", "unknown_left", "leaf")
    arrays = {
        name: np.stack([part[i] for part in parts]) for i, name in enumerate(names)
    }
    scale = np.zeros(features.shape[1])
    scale[columns] = np.nanstd(features[:, columns], axis=0)
    bias = float(np.ravel(trees._baseline_prediction)[0])
    return BoostedTrees({**arrays, "scale": scale, "bias": np.array(bias)})


def with_unknown(features: np.ndarray) -> tf.Tensor:
    """Returns features with `UNKNOWN` in place of NaN, float32."""
    filled = np.where(np.isnan(features), UNKNOWN, features)
    return tf.constant(filled, tf.float32)


def _no_trees(num_features: int, bias: float) -> dict[str, np.ndarray]:
    splits = (1, _NUM_SPLITS)
    return {
        "feature": np.zeros(splits, np.int32),
        "threshold": np.zeros(splits),
        "unknown_left": np.zeros(splits),
        "leaf": np.zeros((1, _NUM_SPLITS + 1)),
        "scale": np.zeros(num_features),
        "bias": np.array(bias),
    }


def _complete(
    nodes: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A tree of scikit-learn as a complete one; a leaf above gets leaves below."""
    feature = np.zeros(_NUM_SPLITS, np.int32)
    threshold = np.zeros(_NUM_SPLITS, np.float32)
    unknown_left = np.zeros(_NUM_SPLITS, np.float32)
    leaf = np.zeros(_NUM_SPLITS + 1, np.float32)

    def place(node: int, position: int) -> None:
        if position >= _NUM_SPLITS:
            leaf[position - _NUM_SPLITS] = nodes[node]["value"]
            return
        found = nodes[node]
        children = (node, node)
        if not found["is_leaf"]:
            feature[position] = columns[found["feature_idx"]]
            threshold[position] = found["num_threshold"]
            unknown_left[position] = found["missing_go_to_left"]
            children = (int(found["left"]), int(found["right"]))
        place(children[0], 2 * position + 1)
        place(children[1], 2 * position + 2)

    place(0, 0)
    return feature, threshold, unknown_left, leaf
