"""Splits the head of the fusion into a part per user and a part per challenge.

To rank many users for one challenge after another, everything that depends only on the
user is computed once. A small product remains per challenge.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from dc_keras.models.deep_challenger import HEAD
from dc_keras.training.participation_model import ParticipationModel


class PreparedUsers:
    """Scores prepared users for one challenge after another.

    Args:
        model: the participation model.

    Attributes:
        width: p, the width of a prepared user.
    """

    def __init__(self, model: ParticipationModel) -> None:
        self._model = model
        fusion = model.fusion
        self._head = None if fusion is None else SplitHead(fusion.get_layer(HEAD))
        self._split = 0 if self._head is None else self._head.width
        self.width = self._split + model.user_width - model.video_widths[0]

    def prepare(self, user: tf.Tensor) -> tf.Tensor:
        """Returns the part of the score per user, (batch_size, width)."""
        video_width = self._model.video_widths[0]
        context = user[:, video_width:]
        if self._head is None:
            return context
        return tf.concat([self._head.prepare(user[:, :video_width]), context], axis=1)

    def score(self, prepared: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        """Returns uncalibrated probabilities, float32 (batch_size,).

        `prepared` are float32 (batch_size, width), and vectors of challenges
        (batch_size, challenge_width) or (1, challenge_width).
        """
        videos, video_width = None, self._model.video_widths[1]
        if self._head is not None:
            videos = self._head.score(
                prepared[:, : self._split], challenge[:, :video_width]
            )
        return self._model.weigh(
            videos, prepared[:, self._split :], challenge[:, video_width:]
        )


class SplitHead:
    """Evaluates `build_head` of `models.deep_challenger` with a split first layer.

    The inputs of the dense layer are [x^c, x^u] and, with `product_difference`, also
    p^c·p^u and p^c − p^u, where p = W x. The layer's sum is split into terms of the
    user, of the challenge, and of their product. The head `dot` has no dense layer, and
    that of a baseline of the paper has no weights at all.

    Attributes:
        width: the width of a prepared user.
    """

    def __init__(self, head: keras.Model) -> None:
        layers = {layer.name: layer for layer in head.layers}
        self._layers = layers
        self._has_projections = "project_user" in layers
        self._is_dot = "dense" not in layers
        challenge_dim, user_dim = (tensor.shape[-1] for tensor in head.input)
        self._sizes = [challenge_dim, user_dim]
        other_dim = user_dim if self._is_dot else 0
        if self._has_projections:
            other_dim = int(layers["project_user"].units)
            self._sizes += [other_dim, other_dim]
        hidden_dim = 0 if self._is_dot else int(layers["dense"].units)
        self._hidden_dim = hidden_dim
        self.width = hidden_dim + other_dim

    def prepare(self, user: tf.Tensor) -> tf.Tensor:
        """Returns the terms per user, float32 (B, width), of x^u, float32 (B, d)."""
        if self._is_dot:
            return self._project("user", user)
        kernels = self._kernels()
        base = user @ kernels[1]
        if not self._has_projections:
            return base
        projected = self._project("user", user)
        return tf.concat([base - projected @ kernels[3], projected], axis=1)

    def score(self, prepared: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of the head, float32 (B,).

        `prepared` are float32 (B, width), and x^c (B, e) or (1, e).
        """
        base, users = tf.split(
            prepared, [self._hidden_dim, self.width - self._hidden_dim], axis=1
        )
        x: Any
        if self._is_dot:
            product = self._project("challenge", challenge) * users
            x = tf.reduce_sum(product, axis=1, keepdims=True)
        else:
            kernels = self._kernels()
            constant = challenge @ kernels[0] + self._centred(
                self._layers["dense"].bias
            )
            x = base
            if self._has_projections:
                projected = self._project("challenge", challenge)
                constant += projected @ kernels[3]
                x += (users * projected) @ kernels[2]
            x = self._activate(x + constant)
        logit = self._layers["logit"](x) if "logit" in self._layers else x
        return tf.reshape(tf.sigmoid(tf.cast(logit, tf.float32)), [-1])

    def _activate(self, x: tf.Tensor) -> tf.Tensor:
        norm = self._layers.get("dense_norm")
        if norm is not None:
            # The centred kernels make the mean of x 0. The sum is a matrix product,
            # because a compiled reduction of floats is sequential.
            ones = tf.fill((self._hidden_dim, 1), 1.0 / self._hidden_dim)
            x *= tf.math.rsqrt(tf.square(x) @ ones + norm.epsilon)
            x = x * norm.gamma + norm.beta
        return self._layers["dense_relu"](x)

    def _project(self, side: str, x: tf.Tensor) -> tf.Tensor:
        if f"normalize_{side}" in self._layers:
            x = self._layers[f"normalize_{side}"](x)
        return self._layers[f"project_{side}"](x) if self._has_projections else x

    def _kernels(self) -> list[tf.Tensor]:
        """Returns the rows of the dense kernel for x^c, x^u, product and difference."""
        kernel = self._centred(self._layers["dense"].kernel)
        return list(tf.split(kernel, self._sizes, axis=0))

    def _centred(self, weights: tf.Tensor) -> tf.Tensor:
        """Subtracts the mean over hidden units, as the LayerNorm does with x."""
        weights = tf.convert_to_tensor(weights)
        if "dense_norm" not in self._layers:
            return weights
        return weights - tf.reduce_mean(weights, axis=-1, keepdims=True)
