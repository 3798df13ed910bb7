"""Layers of one network, or of several copies of it that are computed as one.

Copies are the same network with other weights: their vectors stand side by side,
(batch_size, num_copies, dim), and so do their weights. The graph of six copies is
little larger than that of one, and tracing it is most of what a small fit takes.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

LOGIT = "logit"


def spread(x: Any, copies: int | None, name: str) -> Any:
    """Returns (batch_size, dim) for each copy: (batch_size, num_copies, dim).

    Args:
        x: what all copies see.
        copies: number of copies; None for a network alone, and `x` as it is.
        name: of the layer.
    """
    return x if copies is None else keras.layers.RepeatVector(copies, name=name)(x)


@keras.saving.register_keras_serializable(package="dc_keras")
class DenseCopies(keras.layers.Layer):
    """A dense layer with weights of its own for each copy.

    A product a copy: one of all, as `keras.layers.EinsumDense` has it, takes half as
    long again on a CPU. Each copy starts as `keras.layers.Dense` does: Glorot uniform,
    bias 0.

    Args:
        units: width of the output.
        activation: as for `keras.layers.Dense`.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        inputs: float (batch_size, num_copies, dim).

    Returns:
        float (batch_size, num_copies, units).
    """

    def __init__(self, units: int, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Creates kernels (num_copies, dim, units) and biases (num_copies, units)."""
        _, copies, dim = input_shape
        limit = math.sqrt(6 / (dim + self.units))
        glorot = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight((copies, dim, self.units), glorot, name="kernel")
        self.bias = self.add_weight((copies, self.units), "zeros", name="bias")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Multiplies and adds."""
        parts = (
            ops.unstack(tensor, axis=axis)
            for tensor, axis in ((inputs, 1), (self.kernel, 0), (self.bias, 0))
        )
        outputs = [x @ kernel + bias for x, kernel, bias in zip(*parts, strict=True)]
        return self.activation(ops.stack(outputs, axis=1))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns (batch_size, num_copies, units)."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        activation = keras.activations.serialize(self.activation)
        config.update(units=self.units, activation=activation)
        return config


@keras.saving.register_keras_serializable(package="dc_keras")
class ScaleAndShift(keras.layers.Layer):
    """γ·x + β, with a γ and a β for every element of x but the batch's axis."""

    def build(self, input_shape: Any) -> None:
        """Creates γ, ones, and β, zeros."""
        shape = input_shape[1:]
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Scales and shifts."""
        return inputs * self.gamma + self.beta


def dense(
    x: Any, units: int, copies: int | None, name: str, activation: Any = None
) -> Any:
    """A dense layer, or one for each copy (`DenseCopies`).

    Args:
        x: (batch_size, dim), or (batch_size, num_copies, dim).
        units: width of the output.
        copies: number of copies, or None.
        name: of the layer.
        activation: as for `keras.layers.Dense`.
    """
    layer = keras.layers.Dense if copies is None else DenseCopies
    return layer(units, activation=activation, name=name)(x)


def normalize(x: Any, copies: int | None, name: str) -> Any:
    """LayerNorm over the last axis, with a scale and an offset for each copy."""
    if copies is None:
        return keras.layers.LayerNormalization(name=name)(x)
    x = keras.layers.LayerNormalization(scale=False, center=False, name=name)(x)
    return ScaleAndShift(name=f"{name}_scale")(x)


def probability(x: Any, copies: int | None) -> Any:
    """Returns sigmoid(w·x + b), float32 (batch_size,) or (batch_size, num_copies).

    The sigmoid comes last: Keras' cross-entropy finds the log-odds before it, and has a
    gradient where the probability itself is rounded to 0 or 1.
    """
    logit = dense(x, 1, copies, LOGIT)
    shape = () if copies is None else (copies,)
    logit = keras.layers.Reshape(shape, dtype="float32", name="flat_logit")(logit)
    return keras.layers.Activation("sigmoid", dtype="float32", name="probability")(
        logit
    )
