"""Training objectives: losses, validation metrics and the monitored metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score


@dataclass(frozen=True)
class Objective:
    """A training objective.

    Attributes:
        loss: computes the loss from (labels, outputs), float32 (batch_size,), or
            (batch_size, num_copies) for a model of several copies.
        score: computes metrics by name, without prefix, from NumPy arrays (labels,
            outputs, weights).
        monitor: metric for early stopping; minimized if its name ends in `loss`.
    """

    loss: Callable[[Any, Any], Any]
    score: Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, float]]
    monitor: str


def classification() -> Objective:
    """Returns the objective of proxies: categorical cross-entropy (section IV-A)."""

    def score(labels: Any, outputs: Any, weights: Any) -> dict[str, float]:
        picked = outputs[np.arange(len(labels)), labels]
        return {
            "loss": float(
                np.average(-np.log(np.maximum(picked, 1e-7)), weights=weights)
            ),
            "accuracy": float(np.mean(outputs.argmax(axis=1) == labels)),
        }

    return Objective(keras.losses.sparse_categorical_crossentropy, score, "val_loss")


def participation(monitor: str) -> Objective:
    """Returns the participation objective: binary cross-entropy (section IV-C)."""

    def loss(labels: Any, outputs: Any) -> Any:
        labels = tf.cast(labels, outputs.dtype)
        if outputs.shape.rank == 2:
            labels = tf.broadcast_to(labels[:, None], tf.shape(outputs))
        return keras.ops.binary_crossentropy(labels, outputs)

    def score(labels: Any, outputs: Any, weights: Any) -> dict[str, float]:
        safe = np.clip(outputs, 1e-7, 1 - 1e-7)
        losses = -np.where(labels == 1, np.log(safe), np.log1p(-safe))
        scores = {"loss": float(np.average(losses, weights=weights))}
        # Average precision is undefined without a positive; 0 is its lowest value.
        has_positive = bool(np.any(labels == 1))
        scores["average_precision"] = (
            float(average_precision_score(labels, outputs)) if has_positive else 0.0
        )
        return scores

    return Objective(loss, score, monitor)
