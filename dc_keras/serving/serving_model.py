"""deepChallenger from raw posts to calibrated probabilities, as functions for a graph.

Signatures (dimension 0 is the batch everywhere; "" pads captions and frames, 0 pads
tokens; m and n are numbers of posts, f of frames):

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

A post with neither a caption nor a frame is padding; one that was posted without either
still counts if its caption is sent as " ".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    HEAD,
    USER_REPRESENTATION,
)
from dc_keras.serving.calibration import Calibration, calibrate
from dc_keras.serving.challenge_table import ChallengeTable
from dc_keras.serving.split_head import SplitHead
from dc_keras.serving.video_graph import Encoders, VideoGraph
from dc_keras.training.model_directory import load_model
from dc_keras.training.runs import CHALLENGES_FILE

_NAMES = tf.TensorSpec((None,), tf.string, name="challenge")
_CAPTIONS = tf.TensorSpec((None, None), tf.string, name="captions")
_TOKENS = tf.TensorSpec((None, None, None), tf.int32, name="token_ids")
_FRAMES = tf.TensorSpec((None, None, None), tf.string, name="frames")
_CAPTION = tf.TensorSpec((None,), tf.string, name="captions")
_POST_FRAMES = tf.TensorSpec((None, None), tf.string, name="frames")

Endpoint = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]


@dataclass(frozen=True, eq=False)
class ServingModel:
    """The parts of a bundle.

    Attributes:
        user_videos: embeds raw posts as the user side sees them.
        challenge_videos: embeds raw posts as the challenge side sees them.
        fusion: the fitted participation model.
        challenges: those known to the bundle; their mean answers for unknown names.
        history_max: m, posts of a user that count.
        support_max: n, posts of a challenge that count.
        calibration: from the fusion's probabilities to those that are answered.
    """

    user_videos: VideoGraph
    challenge_videos: VideoGraph
    fusion: keras.Model
    challenges: ChallengeTable
    history_max: int
    support_max: int
    calibration: Calibration

    # Traced once: each signature that traced it anew would take seconds.
    @tf.function(input_signature=(_CAPTIONS, _FRAMES))
    def embed_user(self, captions: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Eq. (2): the first m posts of each user, newest first → x^u, (B, d)."""
        return self._represent(
            self.user_videos, USER_REPRESENTATION, self.history_max, captions, frames
        )

    @tf.function(input_signature=(_TOKENS, _FRAMES))
    def embed_user_tokens(self, token_ids: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """As `embed_user`, from the ids of WordPieces: without an op of TF-Text."""
        return self._represent(
            self.user_videos, USER_REPRESENTATION, self.history_max, token_ids, frames
        )

    @tf.function(input_signature=(_CAPTIONS, _FRAMES))
    def embed_challenge(self, captions: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Eq. (1): the first n posts of each challenge, or a brief → x^c, (B, e)."""
        return self._represent(
            self.challenge_videos,
            CHALLENGE_REPRESENTATION,
            self.support_max,
            captions,
            frames,
        )

    def score(self, user: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        """[x^c, x^u] → probability, (B,)."""
        told = self.fusion.get_layer(HEAD)([challenge, user], training=False)
        return calibrate(told, self.calibration)

    def endpoints(self) -> dict[str, Endpoint]:
        """Returns the functions of all signatures and the specs of their inputs."""
        found = [
            self._pair_endpoints(),
            self._post_endpoints(),
            self._ranking_endpoints(),
        ]
        if self.user_videos.captions is not None:
            found.append(self._token_endpoints())
        return {name: endpoint for part in found for name, endpoint in part.items()}

    def _pair_endpoints(self) -> dict[str, Endpoint]:
        """Those that say how likely a user is to join a challenge."""
        e, d = (tensor.shape[-1] for tensor in self.fusion.get_layer(HEAD).input)
        user = tf.TensorSpec((None, d), tf.float32, name="user")
        challenge = tf.TensorSpec((None, e), tf.float32, name="challenge")
        return {
            "serving_default": (
                lambda challenge, captions, frames: self.challenges.answer(
                    challenge, self.embed_user(captions, frames), self.score
                ),
                [_NAMES, _CAPTIONS, _FRAMES],
            ),
            "score": (
                lambda user, challenge: {"probability": self.score(user, challenge)},
                [user, challenge],
            ),
        }

    def _post_endpoints(self) -> dict[str, Endpoint]:
        """Those that represent posts, sets of them, and known challenges."""
        name = tf.TensorSpec((None,), tf.string, name="name")
        return {
            "embed_video": (
                lambda captions, frames: {
                    "user_video": self.user_videos(captions, frames),
                    "challenge_video": self.challenge_videos(captions, frames),
                },
                [_CAPTION, _POST_FRAMES],
            ),
            "embed_user": (
                lambda captions, frames: {"user": self.embed_user(captions, frames)},
                [_CAPTIONS, _FRAMES],
            ),
            "embed_challenge": (
                lambda captions, frames: {
                    "challenge": self.embed_challenge(captions, frames)
                },
                [_CAPTIONS, _FRAMES],
            ),
            "find_challenge": (self.challenges.find, [name]),
        }

    def _ranking_endpoints(self) -> dict[str, Endpoint]:
        """Those that rank challenges for a user, or users for a challenge."""
        head = self.fusion.get_layer(HEAD)
        e, d = (tensor.shape[-1] for tensor in head.input)
        split = SplitHead(head)
        user = tf.TensorSpec((None, d), tf.float32, name="user")
        challenge = tf.TensorSpec((None, e), tf.float32, name="challenge")
        prepared = tf.TensorSpec((None, split.width), tf.float32, name="prepared")
        return {
            "rank_challenges": (
                lambda captions, frames: self.challenges.rank(
                    self.embed_user(captions, frames), self.score
                ),
                [_CAPTIONS, _FRAMES],
            ),
            "prepare_users": (
                lambda user: {"prepared": split.prepare(user)},
                [user],
            ),
            "rank_users": (
                lambda prepared, challenge: {
                    "probability": calibrate(
                        split.score(prepared, challenge), self.calibration
                    )
                },
                [prepared, challenge],
            ),
        }

    def _token_endpoints(self) -> dict[str, Endpoint]:
        """Those that take WordPieces, without an op of TF-Text."""
        return {
            "tokens": (
                lambda challenge, token_ids, frames: self.challenges.answer(
                    challenge, self.embed_user_tokens(token_ids, frames), self.score
                ),
                [_NAMES, _TOKENS, _FRAMES],
            ),
            "embed_user_tokens": (
                lambda token_ids, frames: {
                    "user": self.embed_user_tokens(token_ids, frames)
                },
                [_TOKENS, _FRAMES],
            ),
        }

    def _represent(
        self, videos: VideoGraph, layer: str, most: int, texts: Any, frames: tf.Tensor
    ) -> tf.Tensor:
        """Joins the first `most` posts of each set; only those that are there are seen.

        Args:
            videos: embeds them.
            layer: joins the embeddings of a set.
            most: m or n.
            texts: captions string (B, any) or token ids int32 (B, any, any).
            frames: string (B, any, f).
        """
        texts, frames = (_exactly(values, most) for values in (texts, frames))
        is_token = texts.dtype == tf.int32
        has_text = (
            tf.reduce_any(texts != 0, axis=2)
            if is_token
            else tf.strings.length(texts) > 0
        )
        has_frames = tf.reduce_any(tf.strings.length(frames) > 0, axis=2)
        valid = has_text | has_frames
        seen = videos(tf.boolean_mask(texts, valid), tf.boolean_mask(frames, valid))
        shape = tf.concat([tf.shape(valid), [seen.shape[-1]]], axis=0)
        values = tf.scatter_nd(tf.where(valid), seen, tf.cast(shape, tf.int64))
        values = tf.ensure_shape(values, (None, most, seen.shape[-1]))
        return self.fusion.get_layer(layer)(values, valid)


def build_serving_model(
    directory: Path, calibration: str = "platt"
) -> tuple[ServingModel, dict[str, Any]]:
    """Assembles the serving model of a participation model directory.

    Args:
        directory: of the model.
        calibration: one of `calibration.METHODS`.

    Returns:
        The model and the configuration of the bundle.

    Raises:
        DataError: the directory holds another kind of model, or an encoder whose
            weights are not those that the features were made with.
    """
    fusion, config = load_model(directory)
    if config["task"] != "participation":
        raise DataError(
            f"{directory} holds a model of --task={config['task']}; a bundle needs one "
            "of --task=participation"
        )
    encoders = Encoders()
    videos = {}
    for side in ("user", "challenge"):
        proxy, _ = load_model(directory / f"{side}_proxy")
        videos[side] = encoders.video_graph(proxy, config["sides"][side])
    with np.load(directory / CHALLENGES_FILE, allow_pickle=False) as sets:
        layer = fusion.get_layer(CHALLENGE_REPRESENTATION)
        known = layer(tf.constant(sets["values"]), tf.constant(sets["valid"]))
        support_max = sets["values"].shape[1]
    table = tf.concat([known, tf.reduce_mean(known, axis=0, keepdims=True)], axis=0)
    captions = videos["user"].captions
    if captions is not None:
        config["special_tokens"] = captions.text.special_tokens()
    model = ServingModel(
        user_videos=videos["user"],
        challenge_videos=videos["challenge"],
        fusion=fusion,
        challenges=ChallengeTable(tuple(config["challenges"]), table),
        history_max=config["study"]["history_max"],
        support_max=support_max,
        calibration=Calibration.of_model(directory, calibration),
    )
    return model, config


def _exactly(values: tf.Tensor, count: int) -> tf.Tensor:
    """Cuts or pads the second dimension: with "" or 0."""
    values = values[:, :count]
    rest = [[0, 0]] * (len(values.shape) - 2)
    missing = count - tf.shape(values)[1]
    nothing = "" if values.dtype == tf.string else 0
    return tf.pad(values, [[0, 0], [0, missing], *rest], constant_values=nothing)
