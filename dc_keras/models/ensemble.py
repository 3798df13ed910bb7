"""Layers of a network, or of several copies of it that are computed together.

Copies have the same architecture and weights of their own. Their vectors are one
tensor, (batch_size, num_copies, dim), and so are their weights. The graph of six copies
is therefore little larger than that of one, and tracing a graph takes most of the time
of a small fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras
from keras import ops

from dc_keras.models.dropout import DropUnits

LOGIT = "logit"


@keras.saving.register_keras_serializable(package="dc_keras")
class DenseCopies(keras.layers.Layer):
    """A dense layer with separate weights for each copy.

    Its input is the concatenation of several tensors. An input that all copies share
    takes one matrix product; other inputs take one product per copy, which is faster on
    a CPU than the single product of `keras.layers.EinsumDense`. Initial values are
    those of `keras.layers.Dense`: Glorot uniform for kernels, zero for biases.

    Args:
        copies: number of copies.
        units: width of the output.
        activation: as for `keras.layers.Dense`.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        inputs: a list of float (batch_size, dim), shared by all copies, or
            (batch_size, num_copies, dim).

    Returns:
        float (batch_size, num_copies, units).
    """

    def __init__(
        self, copies: int, units: int, activation: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.copies = copies
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        """Creates kernels (num_copies, dim, units) and biases (num_copies, units)."""
        dim = sum(shape[-1] for shape in input_shape)
        limit = math.sqrt(6 / (dim + self.units))
        glorot = keras.initializers.RandomUniform(-limit, limit)
        shape = (self.copies, dim, self.units)
        self.kernel = self.add_weight(shape, glorot, name="kernel")
        self.bias = self.add_weight((self.copies, self.units), "zeros", name="bias")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Returns the outputs of all copies; see the class."""
        ends = list(accumulate(x.shape[-1] for x in inputs))[:-1]
        kernels = ops.split(self.kernel, ends, axis=1) if ends else [self.kernel]
        return self.activation(sum(map(self._multiply, inputs, kernels), self.bias))

    def _multiply(self, x: Any, kernel: Any) -> Any:
        if len(x.shape) == 3:
            pairs = zip(ops.unstack(x, axis=1), ops.unstack(kernel), strict=True)
            return ops.stack([own @ weights for own, weights in pairs], axis=1)
        side_by_side = ops.reshape(ops.transpose(kernel, (1, 0, 2)), (x.shape[-1], -1))
        return ops.reshape(x @ side_by_side, (-1, self.copies, self.units))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns (batch_size, num_copies, units)."""
        return (input_shape[0][0], self.copies, self.units)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        activation = keras.activations.serialize(self.activation)
        config.update(copies=self.copies, units=self.units, activation=activation)
        return config


@keras.saving.register_keras_serializable(package="dc_keras")
class ScaleAndShift(keras.layers.Layer):
    """γ·x + β with separate γ and β for each element of an example."""

    def build(self, input_shape: Any) -> None:
        """Creates γ, initially one, and β, initially zero."""
        shape = input_shape[1:]
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Scales and shifts."""
        return inputs * self.gamma + self.beta


def dense(
    inputs: Sequence[Any],
    units: int,
    copies: int | None,
    name: str,
    activation: Any = None,
) -> Any:
    """Applies a dense layer, or one per copy, to the concatenation of the inputs.

    Args:
        inputs: (batch_size, dim), or (batch_size, num_copies, dim) with copies.
        units: width of the output.
        copies: number of copies, or None.
        name: name of the layer.
        activation: as for `keras.layers.Dense`.
    """
    if copies is not None:
        return DenseCopies(copies, units, activation, name=name)(list(inputs))
    x = inputs[0]
    if len(inputs) > 1:
        x = keras.layers.Concatenate(name=f"{name}_inputs")(list(inputs))
    return keras.layers.Dense(units, activation, name=name)(x)


def normalize(x: Any, copies: int | None, name: str) -> Any:
    """Applies layer normalization, with a separate scale and offset per copy."""
    if copies is None:
        return keras.layers.LayerNormalization(name=name)(x)
    x = keras.layers.LayerNormalization(scale=False, center=False, name=name)(x)
    return ScaleAndShift(name=f"{name}_scale")(x)


def drop_units(x: Any, rate: float, copies: int | None, name: str) -> Any:
    """Applies dropout to (batch_size, dim) or (batch_size, num_copies, dim).

    All copies drop the same units. They share no weights, so they stay independent.
    """
    shape = None if copies is None else (None, 1, None)
    return DropUnits(rate, noise_shape=shape, name=name)(x)


def probability(inputs: Sequence[Any], copies: int | None) -> Any:
    """Returns sigmoid(w·x + b) with x the concatenation of the inputs.

    The sigmoid is the last layer, so that Keras's cross-entropy finds the log-odds and
    has a gradient even where the probability is rounded to 0 or 1.

    Returns:
        float32 (batch_size,), or (batch_size, num_copies) with copies.
    """
    logit = dense(inputs, 1, copies, LOGIT)
    shape = () if copies is None else (copies,)
    logit = keras.layers.Reshape(shape, dtype="float32", name="flat_logit")(logit)
    return keras.layers.Activation("sigmoid", dtype="float32", name="probability")(
        logit
    )
