"""The signatures of a bundle: which functions of the serving model answer to a name.

Dimension 0 is the batch everywhere; "" pads captions and frames, 0 pads tokens; m and n
are numbers of posts, f of frames, k of variants of a post:

    serving_default   challenge string (B,), captions string (B, m),
                      frames string (B, m, f), JPEG bytes
                      → probability float32 (B,), known_challenge bool (B,)
    tokens            the same with token_ids int32 (B, m, t) in place of captions
    embed_user_tokens token_ids (B, m, t), frames (B, m, f) → user float32 (B, d)
    score             user float32 (B, d), challenge float32 (B, e) → probability (B,)
    embed_video       captions (B,), frames (B, f)
                      → user_video float32 (B, v), challenge_video float32 (B, w)
    embed_user        captions (B, m), frames (B, m, f) → user float32 (B, d)
    embed_challenge   captions (B, n), frames (B, n, f) → challenge float32 (B, e)
    find_challenge    name string (B,)
                      → challenge float32 (B, e), known_challenge bool (B,)
    rank_challenges   captions (B, m), frames (B, m, f)
                      → challenge string (B, C), probability float32 (B, C), best first
    prepare_users     user (B, d) → prepared float32 (B, p)
    rank_users        prepared (B, p), challenge (B, e) or, one for all, (1, e)
                      → probability (B,)

and those by which `attribution` leaves things out:

    find_support      name (B,) → challenge_videos (B, n, w), valid bool (B, n)
    join_user         user_videos (B, m, v), valid (B, m) → user (B, d)
    join_challenge    challenge_videos (B, n, w), valid (B, n) → challenge (B, e)
    vary_user_video   captions (B, k), frames (B, f), kept bool (B, k, f)
                      → user_videos (B, k, v)
    vary_challenge_video  the same → challenge_videos (B, k, w)

A post with neither a caption nor a frame is padding; one that was posted without either
still counts if its caption is sent as " ".
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from dc_keras.serving.calibration import calibrate
from dc_keras.serving.serving_model import CAPTIONS, FRAMES, TOKENS, ServingModel
from dc_keras.serving.split_head import SplitHead

Endpoint = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]

_CHALLENGES = tf.TensorSpec((None,), tf.string, name="challenge")
_NAMES = tf.TensorSpec((None,), tf.string, name="name")
_CAPTION = tf.TensorSpec((None,), tf.string, name="captions")
_POST_FRAMES = tf.TensorSpec((None, None), tf.string, name="frames")
_KEPT = tf.TensorSpec((None, None, None), tf.bool, name="kept")
_VALID = tf.TensorSpec((None, None), tf.bool, name="valid")


def endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the functions of all signatures and the specs of their inputs."""
    found = [_of_pairs(model), _of_posts(model), _of_rankings(model), _varying(model)]
    captions = model.user_videos.captions
    if captions is not None and captions.takes_tokens:
        found.append(_of_tokens(model))
    return {name: endpoint for part in found for name, endpoint in part.items()}


def _of_pairs(model: ServingModel) -> dict[str, Endpoint]:
    """Those that say how likely a user is to join a challenge."""
    return {
        "serving_default": (
            lambda challenge, captions, frames: model.challenges.answer(
                challenge, model.embed_user(captions, frames), model.score
            ),
            [_CHALLENGES, CAPTIONS, FRAMES],
        ),
        "score": (
            lambda user, challenge: {"probability": model.score(user, challenge)},
            [_vectors("user", model.user_dim), _of_challenges(model)],
        ),
    }


def _of_posts(model: ServingModel) -> dict[str, Endpoint]:
    """Those that represent posts, sets of them, and known challenges."""
    return {
        "embed_video": (
            lambda captions, frames: {
                "user_video": model.user_videos(captions, frames),
                "challenge_video": model.challenge_videos(captions, frames),
            },
            [_CAPTION, _POST_FRAMES],
        ),
        "embed_user": (
            lambda captions, frames: {"user": model.embed_user(captions, frames)},
            [CAPTIONS, FRAMES],
        ),
        "embed_challenge": (
            lambda captions, frames: {
                "challenge": model.embed_challenge(captions, frames)
            },
            [CAPTIONS, FRAMES],
        ),
        "find_challenge": (model.challenges.find, [_NAMES]),
    }


def _of_rankings(model: ServingModel) -> dict[str, Endpoint]:
    """Those that rank challenges for a user, or users for a challenge."""
    split = SplitHead(model.head)
    return {
        "rank_challenges": (
            lambda captions, frames: model.challenges.rank(
                model.embed_user(captions, frames), model.score
            ),
            [CAPTIONS, FRAMES],
        ),
        "prepare_users": (
            lambda user: {"prepared": split.prepare(user)},
            [_vectors("user", model.user_dim)],
        ),
        "rank_users": (
            lambda prepared, challenge: {
                "probability": calibrate(
                    split.score(prepared, challenge), model.calibration
                )
            },
            [_vectors("prepared", split.width), _of_challenges(model)],
        ),
    }


def _varying(model: ServingModel) -> dict[str, Endpoint]:
    """Those that leave out a post, a frame or a word."""
    users, challenges = model.user_videos, model.challenge_videos
    return {
        "find_support": (model.challenges.find_videos, [_NAMES]),
        "join_user": (
            lambda user_videos, valid: {"user": model.join_user(user_videos, valid)},
            [_sets("user_videos", users.video_dim), _VALID],
        ),
        "join_challenge": (
            lambda challenge_videos, valid: {
                "challenge": model.join_challenge(challenge_videos, valid)
            },
            [_sets("challenge_videos", challenges.video_dim), _VALID],
        ),
        "vary_user_video": (
            lambda captions, frames, kept: {
                "user_videos": users.vary(captions, frames, kept)
            },
            [CAPTIONS, _POST_FRAMES, _KEPT],
        ),
        "vary_challenge_video": (
            lambda captions, frames, kept: {
                "challenge_videos": challenges.vary(captions, frames, kept)
            },
            [CAPTIONS, _POST_FRAMES, _KEPT],
        ),
    }


def _of_tokens(model: ServingModel) -> dict[str, Endpoint]:
    """Those that take WordPieces, without an op of TF-Text."""
    return {
        "tokens": (
            lambda challenge, token_ids, frames: model.challenges.answer(
                challenge, model.embed_user_tokens(token_ids, frames), model.score
            ),
            [_CHALLENGES, TOKENS, FRAMES],
        ),
        "embed_user_tokens": (
            lambda token_ids, frames: {
                "user": model.embed_user_tokens(token_ids, frames)
            },
            [TOKENS, FRAMES],
        ),
    }


def _vectors(name: str, width: int) -> tf.TensorSpec:
    return tf.TensorSpec((None, width), tf.float32, name=name)


def _sets(name: str, width: int) -> tf.TensorSpec:
    return tf.TensorSpec((None, None, width), tf.float32, name=name)


def _of_challenges(model: ServingModel) -> tf.TensorSpec:
    return _vectors("challenge", model.challenge_dim)
