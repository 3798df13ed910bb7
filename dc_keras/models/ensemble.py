"""Layers of one network, or of several copies of it that are computed as one.

Copies are the same network with other weights: their vectors stand side by side,
(batch_size, num_copies, dim), and so do their weights. The graph of six copies is
little larger than that of one, and tracing it is most of what a small fit takes.
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
    """A dense layer with weights of its own for each copy.

    It sees all its inputs, as if joined. What all copies see alike takes one product;
    of what each has for itself, one product of all, as `keras.layers.EinsumDense` has
    it, takes half as long again on a CPU as one a copy. Each copy starts as
    `keras.layers.Dense` does: Glorot uniform, bias 0.

    Args:
        copies: number of copies.
        units: width of the output.
        activation: as for `keras.layers.Dense`.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        inputs: a list of float (batch_size, dim), the same to all copies, or
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
        """Multiplies and adds."""
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
    inputs: Sequence[Any],
    units: int,
    copies: int | None,
    name: str,
    activation: Any = None,
) -> Any:
    """Returns a dense layer over its inputs, joined, or one for each copy.

    Inputs are (batch_size, dim) each or, for copies, (batch_size, num_copies, dim); for
    the other arguments see `DenseCopies`.
    """
    if copies is not None:
        return DenseCopies(copies, units, activation, name=name)(list(inputs))
    x = inputs[0]
    if len(inputs) > 1:
        x = keras.layers.Concatenate(name=f"{name}_inputs")(list(inputs))
    return keras.layers.Dense(units, activation, name=name)(x)


def normalize(x: Any, copies: int | None, name: str) -> Any:
    """LayerNorm over the last axis, with a scale and an offset for each copy."""
    if copies is None:
        return keras.layers.LayerNormalization(name=name)(x)
    x = keras.layers.LayerNormalization(scale=False, center=False, name=name)(x)
    return ScaleAndShift(name=f"{name}_scale")(x)


def drop_units(x: Any, rate: float, copies: int | None, name: str) -> Any:
    """Dropout of (batch_size, dim), or of (batch_size, num_copies, dim): in all alike.

    Copies share no weight, and none is the worse for what another drops.
    """
    shape = None if copies is None else (None, 1, None)
    return DropUnits(rate, noise_shape=shape, name=name)(x)


def probability(inputs: Sequence[Any], copies: int | None) -> Any:
    """Returns sigmoid(w·x + b) of its inputs: float32 (batch_size[, num_copies]).

    The sigmoid is the last layer: Keras' cross-entropy finds the log-odds before it,
    whose gradient does not vanish where the probability is rounded to 0 or 1.
    """
    logit = dense(inputs, 1, copies, LOGIT)
    shape = () if copies is None else (copies,)
    logit = keras.layers.Reshape(shape, dtype="float32", name="flat_logit")(logit)
    return keras.layers.Activation("sigmoid", dtype="float32", name="probability")(
        logit
    )
