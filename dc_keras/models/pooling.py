"""Joins a set of vectors into one: frames into a video, videos into a representation.

Equations (1) and (2) of the paper join by concatenation; the other ways accept sets of
any size.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dc_keras.options import POOLINGS

_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="dc_keras")
class PoolSet(keras.layers.Layer):
    """Joins `num_items` vectors into one.

    With items x_i and validity v_i in {0, 1}:

    - `concat`: [x_1, …, x_n]; width n·d. Items must be zero where they are padding.
    - `mean`: Σ v_i x_i / Σ v_i; width d.
    - `mean_std`: the mean and the standard deviation over valid items; width 2d.
    - `attention`: Σ a_i x_i with a = softmax over valid items of w·tanh(W x_i), the
      gate-free attention of multiple-instance learning; width d.

    A set without a valid item gives zeros.

    Args:
        mode: one of `POOLINGS`.
        attention_dim: rows of W.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        values: float (batch_size, num_items, dim).
        valid: bool (batch_size, num_items), True where an item counts. `concat` ignores
            it: a frame repeated to fill a short video counts there, as in the paper.

    Returns:
        float (batch_size, width).

    Reference:
        Sections IV-A and IV-B, eqs. (1) and (2).
    """

    def __init__(self, mode: str, attention_dim: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in POOLINGS:
            raise ValueError(f"`mode` must be one of {POOLINGS}. Received: mode={mode}")
        self.mode = mode
        self.attention_dim = attention_dim
        if mode == "attention":
            policy = self.dtype_policy
            self.hidden = keras.layers.Dense(
                attention_dim, activation="tanh", dtype=policy, name="hidden"
            )
            self.score = keras.layers.Dense(
                1, use_bias=False, dtype=policy, name="score"
            )

    def build(self, values_shape: Any, valid_shape: Any = None) -> None:
        """Creates the weights of `attention`."""
        if self.mode == "attention":
            self.hidden.build(values_shape)
            self.score.build((*values_shape[:-1], self.attention_dim))
        super().build(values_shape)

    def call(self, values: Any, valid: Any) -> Any:
        """Joins the items; see the class."""
        if self.mode == "concat":
            num_items, dim = values.shape[1:]
            return ops.reshape(values, (-1, num_items * dim))
        joined = self._join(values, valid)
        return ops.cast(joined, self.compute_dtype)

    def _join(self, values: Any, valid: Any) -> Any:
        weights = self._weigh(values, valid)
        values = ops.cast(values, "float32")
        mean = _weighted_sum(weights, values)
        if self.mode != "mean_std":
            return mean
        variance = _weighted_sum(weights, ops.square(values - mean[:, None, :]))
        # The epsilon keeps the gradient of the root finite at zero variance.
        std = ops.sqrt(variance + _EPSILON**2)
        return ops.concatenate([mean, std * ops.sum(weights, axis=1)], axis=-1)

    def _weigh(self, values: Any, valid: Any) -> Any:
        """Returns float32 (batch_size, num_items, 1) of sum one; 0 without an item.

        Sums over many items, and the epsilons, are beyond half precision.
        """
        mask = ops.cast(valid, "float32")[..., None]
        if self.mode != "attention":
            return mask / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
        scores = ops.cast(self.score(self._project(values)), "float32")
        lowest = ops.min(scores, axis=1, keepdims=True)
        candidates = ops.where(valid[..., None], scores, lowest)
        scores = scores - ops.max(candidates, axis=1, keepdims=True)
        # Clipping keeps exp finite for the masked items, whose weight is zero anyway.
        weights = ops.exp(ops.minimum(scores, 0.0)) * mask
        return weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), _EPSILON)

    def _project(self, values: Any) -> Any:
        return self.hidden(values)

    def compute_output_shape(self, values_shape: Any, valid_shape: Any = None) -> Any:
        """Returns (batch_size, width)."""
        batch, num_items, dim = values_shape
        width = {"concat": (num_items or 0) * dim, "mean_std": 2 * dim}
        return (batch, width.get(self.mode, dim))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        config.update(mode=self.mode, attention_dim=self.attention_dim)
        return config


def _weighted_sum(weights: Any, values: Any) -> Any:
    """Returns Σ w_i x_i as a product of matrices, which does not write what it sums."""
    return ops.matmul(ops.transpose(weights, (0, 2, 1)), values)[:, 0]


@keras.saving.register_keras_serializable(package="dc_keras")
class Standardize(keras.layers.Layer):
    """Centres and scales features by fixed moments: (x − mean) / std where valid.

    The moments are those of the training rows and are saved with the layer as
    non-trainable weights; a dimension that never varies is only centred.

    Args:
        dim: width of the features.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        values: float (batch_size, …, dim).
        valid: bool (batch_size, …), without the last axis; where False the output is
            zero, so that a missing modality and padding stay zero vectors.

    Returns:
        float, the shape of `values`.
    """

    def __init__(self, dim: int, **kwargs: Any) -> None:
        # In half precision, 1 / std would overflow for small std.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.dim = dim
        self.mean = self.add_weight(
            name="mean", shape=(dim,), initializer="zeros", trainable=False
        )
        self.scale = self.add_weight(
            name="scale", shape=(dim,), initializer="ones", trainable=False
        )

    def set_moments(self, mean: Any, std: Any) -> None:
        """Sets mean and standard deviation, each float (dim,)."""
        self.mean.assign(mean)
        self.scale.assign(ops.where(std > _EPSILON, 1.0 / ops.maximum(std, 1e-6), 1.0))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config: dict[str, Any] = super().get_config()
        config.update(dim=self.dim)
        return config

    def call(self, values: Any, valid: Any) -> Any:
        """Standardizes the values; see the class."""
        mask = ops.cast(valid, values.dtype)[..., None]
        return (values - self.mean) * self.scale * mask

    def compute_output_shape(self, values_shape: Any, valid_shape: Any = None) -> Any:
        """Returns the shape of `values`."""
        return values_shape


@keras.saving.register_keras_serializable(package="dc_keras")
class PoolStandardized(PoolSet):
    """`Standardize` and `PoolSet` in one, for `mean` and `attention`.

    Σ w_i (x_i − μ) / σ = (Σ w_i (x_i − μ)) / σ, and what attention looks at is a
    product with W / σ: of the hundreds of MB that the items of a batch have, nothing
    is written but what is centred, which nearly constant features need. Arguments,
    input and output are those of `PoolSet`; always in float32.

    Attributes:
        standardize: `Standardize`, whose moments are to be set.
    """

    MODES = ("attention", "mean")

    def __init__(self, mode: str, attention_dim: int = 64, **kwargs: Any) -> None:
        if mode not in self.MODES:
            raise ValueError(
                f"`mode` must be one of {self.MODES}. Received: mode={mode}"
            )
        super().__init__(mode, attention_dim, **{"dtype": "float32", **kwargs})

    def build(self, values_shape: Any, valid_shape: Any = None) -> None:
        """Creates the moments, and the weights of `attention`."""
        self.standardize = Standardize(values_shape[-1], name="standardize")
        super().build(values_shape, valid_shape)

    def _join(self, values: Any, valid: Any) -> Any:
        centred = values - self.standardize.mean
        return super()._join(centred, valid) * self.standardize.scale

    def _project(self, values: Any) -> Any:
        kernel = self.standardize.scale[:, None] * self.hidden.kernel
        return ops.tanh(ops.matmul(values, kernel) + self.hidden.bias)


def standardize_and_pool(
    values: Any, valid: Any, is_item: Any, mode: str, name: str
) -> Any:
    """Standardizes the items of sets and joins them, in one layer where there is one.

    Args:
        values: (batch_size, num_items, dim).
        valid: bool (batch_size, num_items), which items count.
        is_item: bool (batch_size, num_items); the others are zeros to a concatenation.
        mode: of `PoolSet`.
        name: of the layer that joins; `standardizer` finds the moments by it.
    """
    if mode in PoolStandardized.MODES:
        return PoolStandardized(mode, name=name)(values, valid)
    standardize = Standardize(values.shape[-1], name=f"{name}_standardize")
    return PoolSet(mode, name=name)(standardize(values, is_item), valid)


def standardizer(model: keras.Model, name: str) -> Standardize | None:
    """Returns what standardises for `standardize_and_pool`; None where nothing does."""
    layers = {layer.name: layer for layer in model.layers}
    pool = layers.get(name)
    if isinstance(pool, PoolStandardized):
        return pool.standardize
    return layers.get(f"{name}_standardize")
