"""deepChallenger from raw posts to calibrated probabilities, as functions of a graph.

Which signatures a bundle makes of them: `endpoints`.
"""

from __future__ import annotations

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
from dc_keras.serving.video_graph import Encoders, VideoGraph
from dc_keras.training.model_directory import load_model
from dc_keras.training.runs import CHALLENGES_FILE

CAPTIONS = tf.TensorSpec((None, None), tf.string, name="captions")
TOKENS = tf.TensorSpec((None, None, None), tf.int32, name="token_ids")
FRAMES = tf.TensorSpec((None, None, None), tf.string, name="frames")


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

    @property
    def head(self) -> keras.layers.Layer:
        """[x^c, x^u] → the model's probability."""
        return self.fusion.get_layer(HEAD)

    @property
    def user_dim(self) -> int:
        """d, the width of x^u."""
        return int(self.head.input[1].shape[-1])

    @property
    def challenge_dim(self) -> int:
        """e, the width of x^c."""
        return int(self.head.input[0].shape[-1])

    # Traced once: each signature that traced it anew would take seconds.
    @tf.function(input_signature=(CAPTIONS, FRAMES), autograph=False)
    def embed_user(self, captions: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Eq. (2): the first m posts of each user, newest first → x^u, (B, d)."""
        return self._represent(
            self.user_videos, USER_REPRESENTATION, self.history_max, captions, frames
        )

    @tf.function(input_signature=(TOKENS, FRAMES), autograph=False)
    def embed_user_tokens(self, token_ids: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """As `embed_user`, from the ids of WordPieces: without an op of TF-Text."""
        return self._represent(
            self.user_videos, USER_REPRESENTATION, self.history_max, token_ids, frames
        )

    @tf.function(input_signature=(CAPTIONS, FRAMES), autograph=False)
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
        told = self.head([challenge, user], training=False)
        return calibrate(told, self.calibration)

    def join_user(self, videos: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Eq. (2) from embedded posts (B, any, v), newest first → x^u, (B, d)."""
        return self._join(USER_REPRESENTATION, self.history_max, videos, valid)

    def join_challenge(self, videos: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Eq. (1) from embedded posts (B, any, w) → x^c, (B, e)."""
        return self._join(CHALLENGE_REPRESENTATION, self.support_max, videos, valid)

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
        return self._join(layer, most, values, valid)

    def _join(
        self, layer: str, most: int, values: tf.Tensor, valid: tf.Tensor
    ) -> tf.Tensor:
        """Joins the first `most` embedded posts of each set that are valid."""
        values, valid = _exactly(values, most), _exactly(valid, most)
        values *= tf.cast(valid, tf.float32)[..., None]
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
        values, valid = sets["values"], sets["valid"]
    layer = fusion.get_layer(CHALLENGE_REPRESENTATION)
    known = layer(tf.constant(values), tf.constant(valid))
    table = tf.concat([known, tf.reduce_mean(known, axis=0, keepdims=True)], axis=0)
    captions = videos["user"].captions
    if captions is not None and captions.takes_tokens:
        config["special_tokens"] = captions.text.special_tokens()
    model = ServingModel(
        user_videos=videos["user"],
        challenge_videos=videos["challenge"],
        fusion=fusion,
        challenges=ChallengeTable(tuple(config["challenges"]), table, values, valid),
        history_max=config["study"]["history_max"],
        support_max=values.shape[1],
        calibration=Calibration.of_model(directory, calibration),
    )
    return model, config


def _exactly(values: tf.Tensor, count: int) -> tf.Tensor:
    """Cuts or pads the second dimension: with "", 0 or False."""
    values = values[:, :count]
    rest = values.shape[2:]
    missing = count - tf.shape(values)[1]
    margins = [[0, 0], [0, missing], *([0, 0] for _ in rest)]
    padded = tf.pad(values, margins, constant_values=tf.zeros((), values.dtype))
    return tf.ensure_shape(padded, (None, count, *rest))
