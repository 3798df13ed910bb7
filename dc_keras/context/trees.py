"""Gradient-boosted trees, fitted by scikit-learn and evaluated by TensorFlow.

Splits are linear instead of hard within `_SOFTNESS` standard deviations around their
threshold. The last bit of a feature may differ between machines or batch sizes, and a
hard split could turn that into a different prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from dc_keras.context.post_vectors import UNKNOWN
from dc_keras.context.set_vectors import is_known
from dc_keras.context.tree_bins import UNKNOWN_BIN, RankedFeatures

_DEPTH = 3
_NUM_SPLITS = 2**_DEPTH - 1
_SOFTNESS = 1e-3
_MIN_RATE = 1e-4
# Number of rows that are scored at once; their intermediate results fit in a cache.
_BLOCK = 2**12
# Early stopping of scikit-learn: the share of rows that is held out of more rows.
_MOST_WITHOUT_STOPPING, _HELD_OUT = 10_000, 0.1
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
    """A sum of complete binary trees of depth three.

    Args:
        weights: arrays by name. `feature` int32 (num_trees, 7): feature of each split,
            in level order. `threshold` float32 (num_trees, 7): threshold of each
            split. `unknown_left` float32 (num_trees, 7): 1 if an unknown value goes
            left. `leaf` float32 (num_trees, 8): values of the leaves. `scale` float32
            (num_features,): standard deviations. `bias` float32 ().
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

    def score(self, features: np.ndarray) -> np.ndarray:
        """Returns log-odds, float32 (num_rows,).

        Args:
            features: float32 (num_rows, num_features), NaN where unknown.
        """
        scores = np.empty(len(features), np.float32)
        for start in range(0, len(features), _BLOCK):
            rows = slice(start, start + _BLOCK)
            scores[rows] = self(with_unknown(features[rows]))
        return scores

    def _goes_left(self, features: tf.Tensor, split: int) -> tf.Tensor:
        """Returns the share of each row that goes left at a split of each tree."""
        v = self._variables
        values = tf.gather(features, v["feature"][split], axis=1)
        left = (v["threshold"][split] - values) * v["steepness"][split] + 0.5
        left = tf.clip_by_value(left, 0.0, 1.0)
        return tf.where(is_known(values), left, v["unknown_left"][split])


def fit_trees(
    features: RankedFeatures,
    rows: np.ndarray,
    label: np.ndarray,
    weight: np.ndarray,
    seed: int,
) -> BoostedTrees:
    """Fits boosted trees on some rows.

    Without a feature that varies or without both labels, the result has no splits.

    Args:
        features: features of all rows.
        rows: positions of the rows to fit on.
        label: 0 or 1, (len(rows),).
        weight: float (len(rows),), positive weight of each row.
        seed: random seed.
    """
    num_features = features.values.shape[1]
    train, held_out = _hold_out(label, seed)
    edges = features.edges(rows[train], weight[train])
    if label.min() == label.max() or not edges:
        rate = np.clip(np.average(label, weights=weight), _MIN_RATE, 1 - _MIN_RATE)
        return BoostedTrees(_no_trees(num_features, np.log(rate / (1 - rate))))
    stopping = {
        "X_val": features.bins(rows[held_out], edges),
        "y_val": label[held_out],
        "sample_weight_val": weight[held_out],
    }
    trees = _TreesOnBins(
        **_SETTINGS, early_stopping=len(held_out) > 0, random_state=seed
    )
    # Folds run in parallel processes; more threads would be slower.
    with threadpool_limits(1, user_api="openmp"):
        trees.fit(
            features.bins(rows[train], edges),
            label[train],
            sample_weight=weight[train],
            **(stopping if len(held_out) else {}),
        )
    # The trees are private attributes of scikit-learn, which skl2onnx also uses.
    nodes = [predictor.nodes for [predictor] in trees._predictors]
    columns = np.array(list(edges))
    parts = [_complete(tree, columns, list(edges.values())) for tree in nodes]
    names = ("feature", "threshold", "unknown_left", "leaf")
    arrays = {
        name: np.stack([part[i] for part in parts]) for i, name in enumerate(names)
    }
    scale = np.zeros(num_features)
    scale[columns] = np.nanstd(features.values[rows][:, columns], axis=0)
    bias = float(np.ravel(trees._baseline_prediction)[0])
    return BoostedTrees({**arrays, "scale": scale, "bias": np.array(bias)})


def _hold_out(label: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows to fit on and those for early stopping, as scikit-learn does."""
    rows = np.arange(len(label))
    if len(rows) <= _MOST_WITHOUT_STOPPING or label.min() == label.max():
        return rows, rows[:0]
    state = np.random.RandomState(seed).randint(np.iinfo(np.uint32).max, dtype="u8")
    train, held_out = train_test_split(
        rows, test_size=_HELD_OUT, stratify=label, random_state=state
    )
    return train, held_out


class _TreesOnBins(HistGradientBoostingClassifier):
    """Fits trees on the numbers of bins, which scikit-learn would bin again."""

    def _bin_data(
        self,
        X: np.ndarray,  # noqa: N803  the name in scikit-learn
        sample_weight: np.ndarray,
        is_training_data: bool,
    ) -> np.ndarray:
        if not is_training_data:
            return np.ascontiguousarray(X, np.uint8)
        bins = np.asfortranarray(X, np.uint8)
        last = np.where(bins == UNKNOWN_BIN, 0, bins).max(axis=0)
        mapper = self._bin_mapper
        mapper.missing_values_bin_idx_ = UNKNOWN_BIN
        mapper.n_bins_non_missing_ = last.astype(np.uint32) + 1
        # The threshold of a split is then the number of its edge.
        mapper.bin_thresholds_ = [np.arange(n, dtype=np.float64) for n in last]
        return bins


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
    nodes: np.ndarray, columns: np.ndarray, edges: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Converts a tree to a complete one by extending leaves above the last level.

    Returns:
        Feature, threshold and `unknown_left` of the splits, and values of the leaves.
    """
    feature = np.zeros(_NUM_SPLITS, np.int32)
    threshold = np.zeros(_NUM_SPLITS, np.float32)
    unknown_left = np.zeros(_NUM_SPLITS, np.float32)
    leaf = np.zeros(_NUM_SPLITS + 1, np.float32)

    def place(node: int, position: int) -> None:
        if position >= _NUM_SPLITS:
            leaf[position - _NUM_SPLITS] = nodes[node]["value"]
            return
        split = nodes[node]
        children = (node, node)
        if not split["is_leaf"]:
            feature[position] = columns[split["feature_idx"]]
            threshold[position] = _threshold(split, edges)
            unknown_left[position] = split["missing_go_to_left"]
            children = (int(split["left"]), int(split["right"]))
        place(children[0], 2 * position + 1)
        place(children[1], 2 * position + 2)

    place(0, 0)
    return feature, threshold, unknown_left, leaf


def _threshold(split: np.void, edges: Sequence[np.ndarray]) -> float:
    """Returns the threshold of a split; infinite if it separates unknown values."""
    between = float(split["num_threshold"])
    return edges[split["feature_idx"]][int(between)] if between < np.inf else between
