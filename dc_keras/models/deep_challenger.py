"""deepChallenger's fusion: from a challenge's and a user's videos to a probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from dc_keras.models.config import ModelOptions
from dc_keras.models.ensemble import dense, drop_units, probability
from dc_keras.models.dropout import DropItems, drop_side
from dc_keras.models.pooling import PoolSet
from dc_keras.models.proxy import dense_block

FUSION = "deep_challenger"
HEAD = "participation"
CHALLENGE_REPRESENTATION = "challenge_representation"
USER_REPRESENTATION = "user_representation"


@dataclass(frozen=True)
class PairInputs:
    """The sizes of what the fusion model sees.

    Attributes:
        support_max: n, learned video embeddings a challenge, padded.
        challenge_dim: width of the challenge proxy's embedding.
        history_max: m, learned video embeddings a user, padded.
        user_dim: width of the user proxy's embedding.
    """

    support_max: int
    challenge_dim: int
    history_max: int
    user_dim: int


def build_deep_challenger(inputs: PairInputs, options: ModelOptions) -> keras.Model:
    """Builds the participation model.

    Inputs: `challenge` float32 (batch_size, support_max, challenge_dim), zero where
    padded; `challenge_valid` bool (batch_size, support_max); `user` float32
    (batch_size, history_max, user_dim); `user_valid` bool (batch_size, history_max).
    Output `probability`: float32 (batch_size,), in (0, 1).

    Reference:
        Section IV-C; eqs. (1) and (2) are the two `PoolSet` layers.
    """
    tensors = _pair_tensors(inputs)
    x_c, x_u = (
        PoolSet(mode, name=name)(*videos)
        for name, mode, videos in _sides(tensors, options)
    )
    head = build_head(x_c.shape[1:], x_u.shape[1:], options)
    return keras.Model(tensors, head(_drop_sides(x_c, x_u, options)), name=FUSION)


def build_copies(inputs: PairInputs, options: ModelOptions, count: int) -> keras.Model:
    """Builds copies of the participation model over the same inputs.

    They share what has no weights, so that each learns as if alone: what is left out in
    training, and the pooling, unless it is attention.

    Args:
        inputs: sizes of what they see.
        options: shape of each.
        count: how many.

    Returns:
        The inputs of `build_deep_challenger` → probabilities (batch_size, count).
    """
    tensors = _pair_tensors(inputs)
    sides = _sides(tensors, options)
    x_c, x_u = (_pool_copies(*side, count) for side in sides)
    head = build_head(x_c.shape[1:], x_u.shape[1:], options, count)
    return keras.Model(tensors, head(_drop_sides(x_c, x_u, options)), name=FUSION)


def take_copy(
    copies: keras.Model, index: int, inputs: PairInputs, options: ModelOptions
) -> keras.Model:
    """Returns one of the copies as a participation model of its own.

    Args:
        copies: of `build_copies`.
        index: of the copy; -1 for the last.
        inputs: sizes of what it sees.
        options: its shape.
    """
    model = build_deep_challenger(inputs, options)
    head = copies.get_layer(HEAD)
    number = range(head.output.shape[1])[index]
    model.get_layer(HEAD).set_weights([w[number] for w in head.get_weights()])
    for name in (CHALLENGE_REPRESENTATION, USER_REPRESENTATION):
        if model.get_layer(name).weights:
            pool = copies.get_layer(f"{name}_{number}")
            model.get_layer(name).set_weights(pool.get_weights())
    return model


def _pool_copies(name: str, mode: str, videos: tuple[Any, Any], count: int) -> Any:
    """A representation for all copies, or for each, (batch_size, count, dim)."""
    if mode != "attention":
        return PoolSet(mode, name=name)(*videos)
    pooled = [PoolSet(mode, name=f"{name}_{i}")(*videos) for i in range(count)]
    return keras.ops.stack(pooled, axis=1)


def _pair_tensors(inputs: PairInputs) -> dict[str, Any]:
    tensors = {}
    for side, num_videos, dim in (
        ("challenge", inputs.support_max, inputs.challenge_dim),
        ("user", inputs.history_max, inputs.user_dim),
    ):
        valid = f"{side}_valid"
        tensors[side] = keras.Input((num_videos, dim), name=side)
        tensors[valid] = keras.Input((num_videos,), name=valid, dtype="bool")
    return tensors


def _sides(
    tensors: dict[str, Any], options: ModelOptions
) -> list[tuple[str, str, tuple[Any, Any]]]:
    """Name, pooling and videos of each representation."""
    described_by = (tensors["challenge"], tensors["challenge_valid"])
    if options.set_dropout > 0:
        videos, valid = DropItems(options.set_dropout, name="drop_videos")(
            *described_by
        )
        # Videos left out are zeros to a concatenation; the others go by what is valid.
        is_concat = options.challenge_pooling == "concat"
        described_by = (videos if is_concat else described_by[0], valid)
    seen = (tensors["user"], tensors["user_valid"])
    return [
        (CHALLENGE_REPRESENTATION, options.challenge_pooling, described_by),
        (USER_REPRESENTATION, options.user_pooling, seen),
    ]


def _drop_sides(x_c: Any, x_u: Any, options: ModelOptions) -> list[Any]:
    sides = (("challenge", x_c), ("user", x_u))
    rate = options.modality_dropout
    return [drop_side(x, rate, f"drop_{side}") for side, x in sides]


def build_head(
    challenge_shape: tuple[int, ...],
    user_shape: tuple[int, ...],
    options: ModelOptions,
    copies: int | None = None,
) -> keras.Model:
    """Builds [x^c, x^u] → probability, the part that `score` serves.

    With projections p = W x: `product_difference` feeds [x^c, x^u, p^c·p^u, p^c − p^u]
    to the network, `none` feeds [x^c, x^u] as the paper does, `dot` gives
    sigmoid(a·⟨p^c, p^u⟩ + b) alone.

    Args:
        challenge_shape: of x^c without batch_size: (dim,), or (copies, dim) where each
            copy has its own.
        user_shape: of x^u, alike.
        options: shape of the head.
        copies: number of copies, each with an output; None for one head.
    """
    x_c = keras.Input(challenge_shape, name="x_c")
    x_u = keras.Input(user_shape, name="x_u")
    if options.interaction == "dot":
        product = keras.layers.Multiply(name="product")(
            _projections(x_c, x_u, options, copies)
        )
        x = keras.ops.sum(product, axis=-1, keepdims=True)
    else:
        parts = [x_c, x_u]
        if options.interaction == "product_difference":
            projections = _projections(x_c, x_u, options, copies)
            parts.append(keras.layers.Multiply(name="product")(projections))
            parts.append(keras.layers.Subtract(name="difference")(projections))
        x = dense_block(parts, options, "dense", copies=copies)
        x = drop_units(x, options.dropout, copies, "dropout")
    return keras.Model([x_c, x_u], probability([x], copies), name=HEAD)


def _projections(
    x_c: Any, x_u: Any, options: ModelOptions, copies: int | None
) -> list[Any]:
    projected = []
    for side, representation in (("challenge", x_c), ("user", x_u)):
        x = representation
        if options.layer_norm:
            # What scales and shifts is the dense layer behind.
            x = keras.layers.LayerNormalization(
                scale=False, center=False, name=f"normalize_{side}"
            )(x)
        projected.append(dense([x], options.projection_dim, copies, f"project_{side}"))
    return projected
