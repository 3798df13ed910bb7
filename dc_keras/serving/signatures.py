"""Defines the signatures of a bundle: their names, functions and input specs.

docs/serving.md has a table of the inputs and outputs of each signature. Dimension 0 is
the batch everywhere; "" pads captions and frames, 0 pads tokens. A post with neither a
caption nor a frame is padding. `serving_model` has the facts of posts and users that
signatures take; `attribution` uses `find_support`, the `join_` and the `vary_` ones
to leave items out.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from dc_keras.context.post_features import PostInputs
from dc_keras.serving.calibration import calibrate
from dc_keras.serving.raw_requests import OF_POSTS, OF_USERS
from dc_keras.serving.serving_model import (
    CAPTIONS,
    FRAMES,
    POST_SPECS,
    TOKENS,
    USER_SPECS,
    ServingModel,
)
from dc_keras.serving.split_head import PreparedUsers

Endpoint = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]

# The signatures that a model lacks that does not read posts of challenges.
_OF_CHALLENGE_POSTS = (
    "embed_challenge",
    "find_support",
    "join_challenge",
    "vary_challenge_video",
)
_CHALLENGES = tf.TensorSpec((None,), tf.string, name="challenge")
_NAMES = tf.TensorSpec((None,), tf.string, name="name")
_CAPTION = tf.TensorSpec((None,), tf.string, name="captions")
_POST_FRAMES = tf.TensorSpec((None, None), tf.string, name="frames")
_KEPT = tf.TensorSpec((None, None, None), tf.bool, name="kept")
_VALID = tf.TensorSpec((None, None), tf.bool, name="valid")
# Specs for single posts: the specs for sets without the second dimension.
_ONE_POST = [
    tf.TensorSpec((None, *spec.shape[2:]), spec.dtype, name=spec.name)
    for spec in POST_SPECS
]


def endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the functions of all signatures and the specs of their inputs."""
    groups = [
        _score_endpoints(model),
        _embedding_endpoints(model),
        _ranking_endpoints(model),
        _variant_endpoints(model),
    ]
    captions = model.user_videos.captions
    if captions is not None and captions.takes_tokens:
        groups.append(_token_endpoints(model))
    absent = () if "challenge" in model.sides else _OF_CHALLENGE_POSTS
    return {
        name: endpoint
        for group in groups
        for name, endpoint in group.items()
        if name not in absent
    }


def _score_endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the signatures that score pairs of a user and a challenge."""

    def answer(
        challenge: tf.Tensor, captions: tf.Tensor, frames: tf.Tensor, *facts: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        user = model.embed_user(captions, frames, *facts)
        return model.challenges.answer(challenge, user, model.score)

    def answer_without_facts(
        challenge: tf.Tensor, captions: tf.Tensor, frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        facts = unknown_facts_of(captions)
        return answer(challenge, captions, frames, *facts.values())

    inputs = [_CHALLENGES, CAPTIONS, FRAMES]
    return {
        "serving_default": (answer, [*inputs, *POST_SPECS, *USER_SPECS]),
        "captions_only": (answer_without_facts, inputs),
        "score": (
            lambda user, challenge: {"probability": model.score(user, challenge)},
            [_vector_spec("user", model.model.user_width), _challenge_spec(model)],
        ),
    }


def unknown_facts_of(captions: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns unknown facts of posts, and then of their users, by name.

    Args:
        captions: captions of the posts, string (batch_size, num_posts).
    """
    shape = tf.shape(captions)
    return {
        name: tf.fill(tf.concat([dims, tf.constant(rest, tf.int32)], axis=0), value)
        for facts, dims in ((OF_POSTS, shape), (OF_USERS, shape[:1]))
        for name, (value, rest) in facts.items()
    }


def _embedding_endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the signatures that embed posts, sets of posts and known challenges."""

    def embed_video(
        captions: tf.Tensor, frames: tf.Tensor, *facts: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        posts = PostInputs(captions, *facts)
        return {
            f"{side}_video": model.embed_posts(side, posts, captions, frames)
            for side in model.sides
        }

    return {
        "embed_video": (embed_video, [_CAPTION, _POST_FRAMES, *_ONE_POST]),
        "embed_user": (
            lambda captions, frames, *facts: {
                "user": model.embed_user(captions, frames, *facts)
            },
            [CAPTIONS, FRAMES, *POST_SPECS, *USER_SPECS],
        ),
        "embed_challenge": (
            lambda captions, frames, *facts: {
                "challenge": model.embed_challenge(captions, frames, *facts)
            },
            [CAPTIONS, FRAMES, *POST_SPECS],
        ),
        "find_challenge": (model.challenges.find, [_NAMES]),
    }


def _ranking_endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the signatures that rank challenges or users."""
    ranking = PreparedUsers(model.model)
    return {
        "rank_challenges": (
            lambda captions, frames, *facts: model.challenges.rank(
                model.embed_user(captions, frames, *facts), model.score
            ),
            [CAPTIONS, FRAMES, *POST_SPECS, *USER_SPECS],
        ),
        "prepare_users": (
            lambda user: {"prepared": ranking.prepare(user)},
            [_vector_spec("user", model.model.user_width)],
        ),
        "rank_users": (
            lambda prepared, challenge: {
                "probability": calibrate(
                    ranking.score(prepared, challenge), model.calibration
                )
            },
            [_vector_spec("prepared", ranking.width), _challenge_spec(model)],
        ),
    }


def _variant_endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the signatures that leave out posts, frames, words and facts."""
    variants: dict[str, Endpoint] = {
        "find_support": (model.challenges.find_videos, [_NAMES]),
        "join_user": (
            lambda user_videos, valid, *facts: {
                "user": model.join_user(user_videos, valid, *facts)
            },
            [_set_spec(model, "user"), _VALID, *USER_SPECS],
        ),
        "join_challenge": (
            lambda challenge_videos, valid, name: {
                "challenge": model.join_challenge(challenge_videos, valid, name)
            },
            [_set_spec(model, "challenge"), _VALID, _NAMES],
        ),
    }
    for side in ("user", "challenge"):
        variants[f"vary_{side}_video"] = (
            _vary(model, side),
            [CAPTIONS, _POST_FRAMES, _KEPT, *POST_SPECS],
        )
    return variants


def _vary(model: ServingModel, side: str) -> Callable[..., dict[str, tf.Tensor]]:
    def vary(
        captions: tf.Tensor, frames: tf.Tensor, kept: tf.Tensor, *facts: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        posts = PostInputs(captions, *facts)
        return {f"{side}_videos": model.vary_posts(side, posts, frames, kept)}

    return vary


def _token_endpoints(model: ServingModel) -> dict[str, Endpoint]:
    """Returns the signatures that take WordPiece ids and use no op of TF-Text."""
    inputs = [TOKENS, CAPTIONS, FRAMES, *POST_SPECS, *USER_SPECS]
    return {
        "tokens": (
            lambda challenge, *posts: model.challenges.answer(
                challenge, model.embed_user_tokens(*posts), model.score
            ),
            [_CHALLENGES, *inputs],
        ),
        "embed_user_tokens": (
            lambda *posts: {"user": model.embed_user_tokens(*posts)},
            inputs,
        ),
    }


def _vector_spec(name: str, width: int) -> tf.TensorSpec:
    return tf.TensorSpec((None, width), tf.float32, name=name)


def _set_spec(model: ServingModel, side: str) -> tf.TensorSpec:
    width = model.post_width(side)
    return tf.TensorSpec((None, None, width), tf.float32, name=f"{side}_videos")


def _challenge_spec(model: ServingModel) -> tf.TensorSpec:
    return _vector_spec("challenge", model.model.challenge_width)
