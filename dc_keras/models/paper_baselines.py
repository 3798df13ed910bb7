"""The paper's four baselines: the user's videos alone, one sigmoid a challenge."""

from __future__ import annotations

import keras

from dc_keras.models.config import ModelOptions
from dc_keras.models.dropout import DropUnits
from dc_keras.models.pooling import PoolSet, standardize_and_pool
from dc_keras.models.proxy import dense_block

POOL_VIDEOS = "user_representation"


def build_user_baseline(
    history_max: int, video_dim: int, num_challenges: int, options: ModelOptions
) -> keras.Model:
    """Builds a baseline that never sees the challenge's videos.

    Inputs: `user` float32 (batch_size, history_max, video_dim), the user's videos as
    frame embeddings averaged over each video, joined with the caption embedding; zero
    where padded. `user_valid` bool (batch_size, history_max). `challenge_one_hot`
    float32 (batch_size, num_challenges) picks which sigmoid answers. Output
    `probability`: float32 (batch_size,).

    Reference:
        Section V-A.

    Departures from the paper:
        Frames are averaged inside a video: the concatenation of 8 × 50 frames of VGG16
        `fc2` would be 1.6 million wide.
    """
    user = keras.Input((history_max, video_dim), name="user")
    user_valid = keras.Input((history_max,), name="user_valid", dtype="bool")
    one_hot = keras.Input((num_challenges,), name="challenge_one_hot")
    mode = options.user_pooling
    if options.standardize:
        x = standardize_and_pool(user, user_valid, user_valid, mode, POOL_VIDEOS)
    else:
        x = PoolSet(mode, name=POOL_VIDEOS)(user, user_valid)
    x = dense_block([x], options, "dense")
    x = DropUnits(options.dropout, name="dropout")(x)
    x = keras.layers.Dense(num_challenges, name="logits")(x)
    x = keras.layers.Dot(axes=-1, name="pick_challenge")([x, one_hot])
    x = keras.layers.Reshape((), name="logit", dtype="float32")(x)
    # Last, as in `copies.probability`.
    x = keras.layers.Activation("sigmoid", name="probability", dtype="float32")(x)
    inputs = {"user": user, "user_valid": user_valid, "challenge_one_hot": one_hot}
    return keras.Model(inputs, x, name="user_baseline")
