"""Layers of one network, or of several copies of it that are computed as one.

Copies are the same network with other weights: their vectors stand side by side,
(batch_size, num_copies, dim), and so do their weights. What would be a product a copy
is one product of all, and a graph of six copies is no larger than that of one.
"""

from __future__ import annotations

import math
from typing import Any

import keras


def spread(x: Any, copies: int | None, name: str) -> Any:
    """Returns (batch_size, dim) for each copy: (batch_size, num_copies, dim).

    Args:
        x: what all copies see.
        copies: number of copies; None for a network alone, and `x` as it is.
        name: of the layer.
    """
    return x if copies is None else keras.layers.RepeatVector(copies, name=name)(x)


def dense(
    x: Any, units: int, copies: int | None, name: str, activation: Any = None
) -> Any:
    """A dense layer, or one with weights of its own for each copy.

    Each copy starts as `keras.layers.Dense` does: Glorot uniform, bias 0.

    Args:
        x: (batch_size, dim), or (batch_size, num_copies, dim).
        units: width of the output.
        copies: number of copies, or None.
        name: of the layer.
        activation: as for `keras.layers.Dense`.
    """
    if copies is None:
        return keras.layers.Dense(units, activation=activation, name=name)(x)
    # Keras's own would take the copies for a receptive field.
    limit = math.sqrt(6 / (x.shape[-1] + units))
    return keras.layers.EinsumDense(
        "bci,cio->bco",
        (copies, units),
        activation=activation,
        bias_axes="co",
        kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
        name=name,
    )(x)


def normalize(x: Any, copies: int | None, name: str) -> Any:
    """LayerNorm over the last axis, with a scale and an offset for each copy."""
    if copies is None:
        return keras.layers.LayerNormalization(name=name)(x)
    x = keras.layers.LayerNormalization(scale=False, center=False, name=name)(x)
    return keras.layers.EinsumDense(
        "bcd,cd->bcd",
        x.shape[1:],
        bias_axes="cd",
        kernel_initializer="ones",
        name=f"{name}_scale",
    )(x)


def probability(x: Any, copies: int | None) -> Any:
    """Returns sigmoid(w·x + b), float32 (batch_size,) or (batch_size, num_copies)."""
    logit = dense(x, 1, copies, "logit")
    chance = keras.layers.Activation("sigmoid", dtype="float32", name="sigmoid")(logit)
    shape = () if copies is None else (copies,)
    return keras.layers.Reshape(shape, dtype="float32", name="probability")(chance)
