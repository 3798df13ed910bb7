"""deepChallenger's fusion: from a challenge's and a user's videos to a probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from dc_keras.models.config import ModelOptions
from dc_keras.models.dropping import DropItems, DropUnits, drop_side
from dc_keras.models.pooling import PoolSet
from dc_keras.models.proxy import dense_block

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
    challenge = keras.Input(
        (inputs.support_max, inputs.challenge_dim), name="challenge"
    )
    challenge_valid = keras.Input(
        (inputs.support_max,), name="challenge_valid", dtype="bool"
    )
    user = keras.Input((inputs.history_max, inputs.user_dim), name="user")
    user_valid = keras.Input((inputs.history_max,), name="user_valid", dtype="bool")
    described_by = (challenge, challenge_valid)
    if options.set_dropout > 0:
        described_by = DropItems(options.set_dropout, name="drop_videos")(*described_by)
    x_c = PoolSet(options.challenge_pooling, name=CHALLENGE_REPRESENTATION)(
        *described_by
    )
    x_u = PoolSet(options.user_pooling, name=USER_REPRESENTATION)(user, user_valid)
    tensors = {
        "challenge": challenge,
        "challenge_valid": challenge_valid,
        "user": user,
        "user_valid": user_valid,
    }
    head = build_head(x_c.shape[-1], x_u.shape[-1], options)
    sides = [
        drop_side(x, options.modality_dropout, f"drop_{side}")
        for side, x in (("challenge", x_c), ("user", x_u))
    ]
    return keras.Model(tensors, head(sides), name="deep_challenger")


def build_head(challenge_dim: int, user_dim: int, options: ModelOptions) -> keras.Model:
    """Builds [x^c, x^u] → probability, the part that `score` serves.

    With projections p = W x: `product_difference` feeds [x^c, x^u, p^c·p^u, p^c − p^u]
    to the network, `none` feeds [x^c, x^u] as the paper does, `dot` gives
    sigmoid(a·⟨p^c, p^u⟩ + b) alone.
    """
    x_c = keras.Input((challenge_dim,), name="x_c")
    x_u = keras.Input((user_dim,), name="x_u")
    if options.interaction == "dot":
        projections = _projections(x_c, x_u, options)
        x = keras.layers.Dot(axes=-1, name="dot")(projections)
    else:
        parts = [x_c, x_u]
        if options.interaction == "product_difference":
            projections = _projections(x_c, x_u, options)
            parts.append(keras.layers.Multiply(name="product")(projections))
            parts.append(keras.layers.Subtract(name="difference")(projections))
        x = keras.layers.Concatenate(name="join_representations")(parts)
        x = dense_block(x, options, "dense")
        x = DropUnits(options.dropout, name="dropout")(x)
    logit = keras.layers.Dense(1, name="logit")(x)
    probability = keras.layers.Activation("sigmoid", dtype="float32", name="sigmoid")(
        logit
    )
    probability = keras.layers.Reshape((), dtype="float32", name="probability")(
        probability
    )
    return keras.Model([x_c, x_u], probability, name=HEAD)


def _projections(x_c: Any, x_u: Any, options: ModelOptions) -> list[Any]:
    projected = []
    for side, representation in (("challenge", x_c), ("user", x_u)):
        normalize = keras.layers.LayerNormalization(name=f"normalize_{side}")
        project = keras.layers.Dense(options.projection_dim, name=f"project_{side}")
        x = normalize(representation) if options.layer_norm else representation
        projected.append(project(x))
    return projected
