"""The SavedModel that answers raw requests: captions, JPEG frames, a challenge's name.

    OUTPUT/VERSION/saved_model.pb, variables/, assets/     what tf-serving loads
    OUTPUT/VERSION/config.json                             every choice behind it

Signatures (dimension 0 is the batch everywhere):

    serving_default   challenge string (B,), captions string (B, m),
                      frames string (B, m, f), JPEG bytes
                      → probability float32 (B,), known_challenge bool (B,)
    score             user float32 (B, d), challenge float32 (B, e)
                      → probability float32 (B,)
    embed_user        captions, frames → user float32 (B, d)
    embed_challenge   name string (B,)
                      → challenge float32 (B, e), known_challenge bool (B,)

"" pads captions and frames. A post with neither a caption nor a frame is padding; one
that was posted without either still counts if its caption is sent as " ".
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dc_keras.encoders.text import TextSpec, build_text_encoder
from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    HEAD,
    USER_REPRESENTATION,
)
from dc_keras.models.proxy import embedding_model
from dc_keras.serving.video_graph import FrameRule, VideoGraph
from dc_keras.training.model_directory import load_model, write_json
from dc_keras.training.runs import CHALLENGES_FILE

_NAMES = tf.TensorSpec((None,), tf.string, name="challenge")
_CAPTIONS = tf.TensorSpec((None, None), tf.string, name="captions")
_FRAMES = tf.TensorSpec((None, None, None), tf.string, name="frames")


@dataclass(frozen=True, eq=False)
class ServingModel:
    """deepChallenger from raw inputs to a probability, as functions for a graph.

    Attributes:
        user_videos: embeds the user's raw videos.
        fusion: the fitted participation model.
        challenge_names: the challenges known to the bundle.
        challenge_table: float32 (num_challenges + 1, e), a representation a row; the
            last is their mean and answers for unknown names.
        history_max: m, posts of a user that count.
    """

    user_videos: VideoGraph
    fusion: keras.Model
    challenge_names: tuple[str, ...]
    challenge_table: tf.Variable
    lookup: tf.lookup.StaticHashTable
    history_max: int

    # Traced once: each signature that traced it anew would take seconds.
    @tf.function(input_signature=(_CAPTIONS, _FRAMES))
    def embed_user(self, captions: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Eq. (2): the first m posts of each user, newest first → x^u, (B, d)."""
        captions, frames = self._exactly_history_max(captions, frames)
        num_frames = tf.shape(frames)[2]
        has_frames = tf.reduce_any(tf.strings.length(frames) > 0, axis=2)
        valid = (tf.strings.length(captions) > 0) | has_frames
        videos = self.user_videos(
            tf.reshape(captions, [-1]), tf.reshape(frames, [-1, num_frames])
        )
        videos = tf.reshape(videos, [-1, self.history_max, videos.shape[-1]])
        videos *= tf.cast(valid, videos.dtype)[:, :, None]
        return self.fusion.get_layer(USER_REPRESENTATION)(videos, valid)

    def find_challenge(self, names: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Looks names up → x^c, (B, e), and whether each is known, (B,)."""
        rows = self.lookup.lookup(names)
        known = rows >= 0
        last = len(self.challenge_names)
        return tf.gather(self.challenge_table, tf.where(known, rows, last)), known

    def score(self, user: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        """[x^c, x^u] → probability, (B,)."""
        return self.fusion.get_layer(HEAD)([challenge, user], training=False)

    def answer(
        self, challenge: tf.Tensor, captions: tf.Tensor, frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What `serving_default` gives."""
        x_c, known = self.find_challenge(challenge)
        probability = self.score(self.embed_user(captions, frames), x_c)
        return {"probability": probability, "known_challenge": known}

    def _exactly_history_max(
        self, captions: tf.Tensor, frames: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        captions, frames = (
            captions[:, : self.history_max],
            frames[:, : self.history_max],
        )
        missing = self.history_max - tf.shape(captions)[1]
        captions = tf.pad(captions, [[0, 0], [0, missing]], constant_values="")
        missing = self.history_max - tf.shape(frames)[1]
        frames = tf.pad(frames, [[0, 0], [0, missing], [0, 0]], constant_values="")
        return captions, frames


def build_serving_model(directory: Path) -> tuple[ServingModel, dict[str, Any]]:
    """Assembles the serving model of a participation model directory.

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
    proxy, _ = load_model(directory / "user_proxy")
    side = config["sides"]["user"]
    videos = VideoGraph(
        embedding=embedding_model(proxy),
        vision=_encoder(side["vision"], VisionSpec, build_vision_encoder),
        frame_rule=FrameRule.of(side["sampling"]) if side["vision"] else None,
        text=_encoder(side["text"], TextSpec, build_text_encoder),
    )
    with np.load(directory / CHALLENGES_FILE, allow_pickle=False) as sets:
        layer = fusion.get_layer(CHALLENGE_REPRESENTATION)
        known = layer(tf.constant(sets["values"]), tf.constant(sets["valid"]))
    table = tf.concat([known, tf.reduce_mean(known, axis=0, keepdims=True)], axis=0)
    names = tuple(config["challenges"])
    model = ServingModel(
        user_videos=videos,
        fusion=fusion,
        challenge_names=names,
        challenge_table=tf.Variable(table, trainable=False, name="challenge_table"),
        lookup=_lookup(names),
        history_max=config["study"]["history_max"],
    )
    return model, config


def export_bundle(directory: Path, output: Path, version: int | None = None) -> Path:
    """Writes a bundle under `output`, which tf-serving may be watching.

    Args:
        directory: a participation model directory.
        output: directory of a model's versions.
        version: number of the version; None takes the one after the highest.

    Returns:
        The directory of the version. It appears under its name when it is whole.

    Raises:
        DataError: the version is there already; see also `build_serving_model`.
    """
    model, config = build_serving_model(directory)
    output.mkdir(parents=True, exist_ok=True)
    if version is None:
        numbers = [int(p.name) for p in output.iterdir() if p.name.isdigit()]
        version = max(numbers, default=0) + 1
    place = output / str(version)
    if place.exists():
        raise DataError(f"{place} is there already; give another --version")
    temporary = output / f"tmp-{version}"
    shutil.rmtree(temporary, ignore_errors=True)
    _archive(model).write_out(str(temporary), verbose=False)
    write_json(temporary / "config.json", config)
    temporary.rename(place)
    return place


def _encoder(settings: Mapping[str, Any] | None, spec_type: Any, build: Any) -> Any:
    if settings is None:
        return None
    encoder = build(spec_type.from_settings(settings))
    if encoder.fingerprint != settings["fingerprint"]:
        raise DataError(
            f"the encoder {encoder.spec} has other weights than the one that made the "
            "features; bring the weights back, or extract features and train anew"
        )
    return encoder


def _lookup(names: tuple[str, ...]) -> tf.lookup.StaticHashTable:
    rows = tf.range(len(names))
    content = tf.lookup.KeyValueTensorInitializer(tf.constant(names), rows)
    return tf.lookup.StaticHashTable(content, default_value=-1)


def _archive(model: ServingModel) -> keras.export.ExportArchive:
    archive = keras.export.ExportArchive()
    # Variables are found by themselves; tracked too, each would be written twice.
    for resource in (*model.user_videos.layers_with_tables(), model.lookup):
        archive.track(resource)
    d = model.fusion.get_layer(HEAD).input[1].shape[-1]
    e = model.challenge_table.shape[1]
    user = tf.TensorSpec((None, d), tf.float32, name="user")
    challenge = tf.TensorSpec((None, e), tf.float32, name="challenge")

    def embed_challenge(name: tf.Tensor) -> dict[str, tf.Tensor]:
        x_c, known = model.find_challenge(name)
        return {"challenge": x_c, "known_challenge": known}

    archive.add_endpoint(
        "serving_default", model.answer, input_signature=[_NAMES, _CAPTIONS, _FRAMES]
    )
    archive.add_endpoint(
        "score",
        lambda user, challenge: {"probability": model.score(user, challenge)},
        input_signature=[user, challenge],
    )
    archive.add_endpoint(
        "embed_user",
        lambda captions, frames: {"user": model.embed_user(captions, frames)},
        input_signature=[_CAPTIONS, _FRAMES],
    )
    archive.add_endpoint(
        "embed_challenge",
        embed_challenge,
        input_signature=[tf.TensorSpec((None,), tf.string, name="name")],
    )
    return archive
