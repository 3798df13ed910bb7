"""The fusion of deepChallenger: probability from videos of a challenge and a user."""

from __future__ import annotations

from typing import Any

import keras

from dc_keras.models.dropout import DropItems, drop_side
from dc_keras.models.ensemble import dense, drop_units, probability
from dc_keras.models.functional_model import (
    FunctionalModel,
    dtype_policy_scope,
    require_positive,
)
from dc_keras.models.pooling import PoolSet
from dc_keras.models.proxy import dense_block
from dc_keras.options import ModelOptions

FUSION = "deep_challenger"
HEAD = "participation"
CHALLENGE_REPRESENTATION = "challenge_representation"
USER_REPRESENTATION = "user_representation"


@keras.saving.register_keras_serializable(package="dc_keras")
class DeepChallenger(FunctionalModel):
    """The participation model of videos.

    It accepts any video vectors: embeddings learned by the two proxies, as in the
    paper, or the vectors of another encoder.

    Args:
        support_max: maximum number of videos of a challenge, n of eq. (1).
        challenge_dim: width of a challenge's video vectors.
        history_max: maximum number of videos of a user, m of eq. (2).
        user_dim: width of a user's video vectors.
        copies: number of copies of the network with separate weights and the same
            inputs; None for a single network. See `select_copy`.
        name: name of the model.
        dtype: dtype policy of the layers; None for the default one.
        trainable: whether the weights are trained.
        **options: fields of `dc_keras.options.ModelOptions`, such as `hidden_dim`.

    Call arguments:
        inputs: by name, `challenge` float32 (batch_size, support_max, challenge_dim),
            zero where padded; `challenge_valid` bool (batch_size, support_max); `user`
            float32 (batch_size, history_max, user_dim); `user_valid` bool (batch_size,
            history_max).

    Returns:
        The probability of joining, float32 (batch_size,), or (batch_size, copies) with
        copies.

    Raises:
        DataError: if an option is outside its range.
        TypeError: if an option is unknown.

    Reference:
        Section IV-C; eqs. (1) and (2) are the two `PoolSet` layers.
    """

    SIZES = ("support_max", "challenge_dim", "history_max", "user_dim")

    def __init__(
        self,
        support_max: int,
        challenge_dim: int,
        history_max: int,
        user_dim: int,
        *,
        copies: int | None = None,
        name: str = FUSION,
        dtype: Any = None,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        arguments = {
            "support_max": support_max,
            "challenge_dim": challenge_dim,
            "history_max": history_max,
            "user_dim": user_dim,
        }
        require_positive(**arguments, **({} if copies is None else {"copies": copies}))
        shape = ModelOptions(**options)
        with dtype_policy_scope(dtype) as policy:
            tensors = {
                **_set_tensors("challenge", support_max, challenge_dim),
                **_set_tensors("user", history_max, user_dim),
            }
            x_c, x_u = (_pool_copies(*side, copies) for side in _sides(tensors, shape))
            head = build_head(x_c.shape[1:], x_u.shape[1:], shape, copies)
            outputs = head(_drop_sides(x_c, x_u, shape))
        super().__init__(
            tensors,
            outputs,
            {**arguments, "copies": copies},
            shape,
            policy,
            name=name,
            trainable=trainable,
        )

    def represent_users(self, videos: Any, valid: Any) -> Any:
        """Returns x^u, eq. (2), (batch_size, dim).

        `videos` are float32 (batch_size, history_max, user_dim), zero where padded, and
        `valid` bool (batch_size, history_max).
        """
        return self.get_layer(USER_REPRESENTATION)(videos, valid)

    def represent_challenges(self, videos: Any, valid: Any) -> Any:
        """Returns x^c, eq. (1), (batch_size, dim); inputs as of `represent_users`."""
        return self.get_layer(CHALLENGE_REPRESENTATION)(videos, valid)

    def select_copy(self, index: int) -> DeepChallenger:
        """Returns a single network with the weights of one of the copies.

        Args:
            index: index of the copy; -1 for the last.
        """
        model = DeepChallenger(
            **{**self._arguments, "copies": None}, **self.options.to_dict()
        )
        head = self.get_layer(HEAD)
        number = range(head.output.shape[1])[index]
        model.get_layer(HEAD).set_weights([w[number] for w in head.get_weights()])
        for name in (CHALLENGE_REPRESENTATION, USER_REPRESENTATION):
            if model.get_layer(name).weights:
                pool = self.get_layer(f"{name}_{number}")
                model.get_layer(name).set_weights(pool.get_weights())
        return model


def _pool_copies(
    name: str, mode: str, videos: tuple[Any, Any], copies: int | None
) -> Any:
    """Returns a representation (batch_size, dim), or (batch_size, copies, dim).

    Only attention has weights, so only attention is computed separately for each copy.
    """
    if copies is None or mode != "attention":
        return PoolSet(mode, name=name)(*videos)
    pooled = [PoolSet(mode, name=f"{name}_{i}")(*videos) for i in range(copies)]
    return keras.ops.stack(pooled, axis=1)


def _set_tensors(side: str, num_videos: int, dim: int) -> dict[str, Any]:
    valid = f"{side}_valid"
    return {
        side: keras.Input((num_videos, dim), name=side),
        valid: keras.Input((num_videos,), name=valid, dtype="bool"),
    }


def _sides(
    tensors: dict[str, Any], options: ModelOptions
) -> list[tuple[str, str, tuple[Any, Any]]]:
    """Returns the name, the pooling mode and the videos of each representation."""
    described_by = (tensors["challenge"], tensors["challenge_valid"])
    if options.set_dropout > 0:
        videos, valid = DropItems(options.set_dropout, name="drop_videos")(
            *described_by
        )
        # `concat` ignores validity, so it needs zeros for dropped videos.
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
    """Builds the network from x^c and x^u to the probability.

    With projections p = W x, its inputs are [x^c, x^u, p^c·p^u, p^c − p^u] for the
    interaction `product_difference`, and [x^c, x^u] for `none`, as in the paper. `dot`
    has no network: the probability is sigmoid(a·⟨p^c, p^u⟩ + b).

    Args:
        challenge_shape: shape of x^c without the batch axis: (dim,), or (copies, dim)
            with a separate vector for each copy.
        user_shape: shape of x^u, likewise.
        options: architecture of the head.
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
            # The dense layer after it scales and shifts.
            x = keras.layers.LayerNormalization(
                scale=False, center=False, name=f"normalize_{side}"
            )(x)
        projected.append(dense([x], options.projection_dim, copies, f"project_{side}"))
    return projected
