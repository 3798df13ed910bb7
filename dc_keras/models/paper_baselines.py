"""The paper's four baselines: the user's videos alone, one sigmoid a challenge."""

from __future__ import annotations

from typing import Any

import keras

from dc_keras.models.dropout import DropUnits
from dc_keras.models.functional_model import (
    FunctionalModel,
    dtype_policy_scope,
    require_positive,
)
from dc_keras.models.pooling import PoolSet, standardize_and_pool
from dc_keras.models.proxy import dense_block
from dc_keras.options import ModelOptions

POOL_VIDEOS = "user_representation"


@keras.saving.register_keras_serializable(package="dc_keras")
class UserBaseline(FunctionalModel):
    """A baseline that never sees the challenge's videos.

    Args:
        history_max: m of eq. (2), videos of a user, padded.
        video_dim: width of a video vector.
        num_challenges: number of sigmoids.
        name: name of the model.
        dtype: dtype policy of the layers; None for the default one.
        trainable: whether the weights are trained.
        **options: fields of `dc_keras.options.ModelOptions`, such as `hidden_dim`.

    Call arguments:
        inputs: by name, `user` float32 (batch_size, history_max, video_dim), the user's
            videos as frame embeddings averaged over each video, joined with the caption
            embedding, zero where padded; `user_valid` bool (batch_size, history_max);
            `challenge_one_hot` float32 (batch_size, num_challenges), which sigmoid
            answers.

    Returns:
        The probability of joining, float32 (batch_size,).

    Reference:
        Section V-A.

    Departures from the paper:
        Frames are averaged inside a video: the concatenation of 8 × 50 frames of VGG16
        `fc2` would be 1.6 million wide.
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
                "challenge_one_hot": keras.Input(
                    (num_challenges,), name="challenge_one_hot"
                ),
            }
            output = _probability(inputs, num_challenges, shape)
        super().__init__(
            inputs, output, arguments, shape, policy, name=name, trainable=trainable
        )


def _probability(
    inputs: dict[str, Any], num_challenges: int, options: ModelOptions
) -> Any:
    user, valid, mode = inputs["user"], inputs["user_valid"], options.user_pooling
    if options.standardize:
        x = standardize_and_pool(user, valid, valid, mode, POOL_VIDEOS)
    else:
        x = PoolSet(mode, name=POOL_VIDEOS)(user, valid)
    x = dense_block([x], options, "dense")
    x = DropUnits(options.dropout, name="dropout")(x)
    x = keras.layers.Dense(num_challenges, name="logits")(x)
    x = keras.layers.Dot(axes=-1, name="pick_challenge")(
        [x, inputs["challenge_one_hot"]]
    )
    x = keras.layers.Reshape((), name="logit", dtype="float32")(x)
    # Last, as in `ensemble.probability`.
    return keras.layers.Activation("sigmoid", name="probability", dtype="float32")(x)
