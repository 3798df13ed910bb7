"""Fits the head that weighs the signals of simple models and of the videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from dc_keras.models.config import TrainingOptions
from dc_keras.models.copies import LOGIT
from dc_keras.models.signal_head import SIGNALS, build_signal_head
from dc_keras.signals.table import STACK_C
from dc_keras.training.crossed import scored_by
from dc_keras.training.data import Examples
from dc_keras.training.loop import fit
from dc_keras.training.objectives import participation

NUM_HEADS = 4


@dataclass(frozen=True)
class HeadShape:
    """Sizes of the head.

    Attributes:
        signal_dim: width of its dense layer.
        dropout: after it.
    """

    signal_dim: int
    dropout: float


def signal_examples(signals: np.ndarray, labels: np.ndarray) -> Examples:
    """Returns pairs as the inputs of the head, each of the same weight.

    Args:
        signals: float32 (num_pairs, num_signals), NaN where unknown.
        labels: int32 (num_pairs,).
    """
    tables: Mapping[str, tf.Tensor] = {"signals": tf.convert_to_tensor(signals)}
    index = {"signals": np.arange(len(labels), dtype=np.int32)}
    return Examples(tables, index, labels, np.ones(len(labels), np.float32))


def fit_signal_head(
    examples: Examples,
    train: np.ndarray,
    valid: np.ndarray,
    shape: HeadShape,
    options: TrainingOptions,
) -> keras.Model:
    """Fits several heads, each from the logistic stack on, and joins them.

    From there training learns what the stack leaves open, and early stopping keeps that
    only where it helps. Every training pair counts alike: a probability is to be one.
    The heads differ by chance alone, and their mean is less a matter of it.

    Args:
        examples: all pairs, of `signal_examples`.
        train: positions that the gradient sees.
        valid: positions that early stopping sees.
        shape: sizes of the head.
        options: how it is fitted.

    Returns:
        `signals` → the mean probability of `NUM_HEADS` heads, (batch_size,).
    """
    signals = examples.tables["signals"].numpy()
    part = examples.take(train)
    weights = np.ones((len(train), NUM_HEADS), np.float32)

    def new_heads() -> keras.Model:
        sizes = (signals.shape[1], shape.signal_dim, shape.dropout)
        heads = build_signal_head(*sizes, NUM_HEADS)
        start_as_stack(heads, signals[train], part.labels)
        return heads

    # The loss is less a matter of luck than average precision.
    objective = scored_by(participation("val_loss"), lambda heads: heads.mean(axis=1))
    heads = fit(
        new_heads,
        replace(part, weights=weights),
        examples.take(valid),
        objective,
        options,
        judge_start=True,
    )
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(heads.output[:, :, None])
    probability = keras.layers.Reshape((), name="mean_probability")(mean)
    return keras.Model(heads.input, probability, name="signal_heads")


def start_as_stack(head: keras.Model, signals: np.ndarray, labels: np.ndarray) -> None:
    """Makes a new head say what a logistic regression on its signals says.

    Args:
        head: of `build_signal_head`, or copies of it.
        signals: float32 (num_pairs, num_signals) of training pairs, NaN where unknown.
        labels: int32 (num_pairs,), both present.
    """
    standardize, logit = head.get_layer(SIGNALS), head.get_layer(LOGIT)
    standardize.set_moments(*known_moments(signals))
    stack = LogisticRegression(C=STACK_C, max_iter=1000)
    stack.fit(standardize(signals).numpy(), labels)
    # The last layer sees [signals, a dense layer of them].
    kernel = np.zeros(logit.kernel.shape, np.float32)
    kernel[..., : signals.shape[1], 0] = stack.coef_[0]
    logit.kernel.assign(kernel)
    logit.bias.assign(np.full(logit.bias.shape, stack.intercept_[0]))


def known_moments(values: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and standard deviation of each column where it is known.

    Args:
        values: float (num_rows, dim), NaN where unknown.

    Returns:
        Two float32 tensors (dim,); 0 and 0 for a column of which nothing is known.
    """
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    variance = np.where(known, np.square(values - mean), 0.0).sum(axis=0) / count
    return tf.constant(mean, tf.float32), tf.constant(np.sqrt(variance), tf.float32)
