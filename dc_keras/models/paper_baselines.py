"""The paper's four baselines: the user's videos only, and a sigmoid per challenge."""

from __future__ import annotations

from typing import Any

import keras

from dc_keras.models.deep_challenger import HEAD, USER_REPRESENTATION
from dc_keras.models.dropout import DropUnits
from dc_keras.models.functional_model import (
    FunctionalModel,
    dtype_policy_scope,
    require_positive,
)
from dc_keras.models.pooling import PoolSet, standardize_and_pool
from dc_keras.models.proxy import dense_block
from dc_keras.options import ModelOptions

POOL_VIDEOS = "pool_videos"


@keras.saving.register_keras_serializable(package="dc_keras")
class UserBaseline(FunctionalModel):
    """A baseline without the videos of challenges.

    It has the interface of `DeepChallenger`: x^u has the log-odds of each challenge,
    x^c is one-hot, and the head computes sigmoid(⟨x^c, x^u⟩).

    Args:
        history_max: maximum number of videos of a user, m of eq. (2).
        video_dim: width of a video vector.
        num_challenges: number of sigmoids.
        name: name of the model.
        dtype: dtype policy of the layers; None for the default one.
        trainable: whether the weights are trained.
        **options: fields of `dc_keras.options.ModelOptions`, such as `hidden_dim`.

    Call arguments:
        inputs: by name, `user` float32 (batch_size, history_max, video_dim), the mean
            frame embedding of each video concatenated with its caption embedding, zero
            where padded; `user_valid` bool (batch_size, history_max); `challenge`
            float32 (batch_size, num_challenges), one-hot.

    Returns:
        The probability of joining, float32 (batch_size,).

    Reference:
        Section V-A.

    Departures from the paper:
        The frames of a video are averaged: the concatenation of 8 × 50 frames of VGG16
        `fc2` would have a width of 1.6 million.
    """

    def __init__(
        self,
        history_max: int,
        video_dim: int,
        num_challenges: int,
        *,
        name: str = "user_baseline",
        dtype: Any = None,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        arguments = {
            "history_max": history_max,
            "video_dim": video_dim,
            "num_challenges": num_challenges,
        }
        require_positive(**arguments)
        shape = ModelOptions(**options)
        with dtype_policy_scope(dtype) as policy:
            inputs = {
                "user": keras.Input((history_max, video_dim), name="user"),
                "user_valid": keras.Input(
                    (history_max,), name="user_valid", dtype="bool"
                ),
                "challenge": keras.Input((num_challenges,), name="challenge"),
            }
            videos = [inputs["user"], inputs["user_valid"]]
            x_u = _build_user_network(videos, num_challenges, shape)(videos)
            output = _build_head(num_challenges)([inputs["challenge"], x_u])
        super().__init__(
            inputs, output, arguments, shape, policy, name=name, trainable=trainable
        )

    def represent_users(self, videos: Any, valid: Any) -> Any:
        """Returns x^u, the log-odds of all challenges, (batch_size, num_challenges).

        `videos` are float32 (batch_size, history_max, video_dim), zero where padded,
        and `valid` bool (batch_size, history_max).
        """
        return self.get_layer(USER_REPRESENTATION)([videos, valid], training=False)


def _build_user_network(
    videos: list[Any], num_challenges: int, options: ModelOptions
) -> keras.Model:
    inputs = [keras.Input(x.shape[1:], name=x.name, dtype=x.dtype) for x in videos]
    user, valid, mode = *inputs, options.user_pooling
    if options.standardize:
        x = standardize_and_pool(user, valid, valid, mode, POOL_VIDEOS)
    else:
        x = PoolSet(mode, name=POOL_VIDEOS)(user, valid)
    x = dense_block([x], options, "dense")
    x = DropUnits(options.dropout, name="dropout")(x)
    x = keras.layers.Dense(num_challenges, dtype="float32", name="logits")(x)
    return keras.Model(inputs, x, name=USER_REPRESENTATION)


def _build_head(num_challenges: int) -> keras.Model:
    x_c = keras.Input((num_challenges,), name="x_c")
    x_u = keras.Input((num_challenges,), name="x_u")
    x = keras.layers.Dot(axes=-1, dtype="float32", name="product")([x_c, x_u])
    x = keras.layers.Reshape((), dtype="float32", name="flat_logit")(x)
    # The sigmoid is the last layer, as in `ensemble.probability`.
    x = keras.layers.Activation("sigmoid", dtype="float32", name="probability")(x)
    return keras.Model([x_c, x_u], x, name=HEAD)
