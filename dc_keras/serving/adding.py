"""A challenge more in a bundle, from sample videos or a brief, without training."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.serving.bundle import write_version
from dc_keras.serving.predictor import (
    CALIBRATION_FILE,
    Predictor,
    RawPost,
    find_version,
)
from dc_keras.serving.serving_model import name_lookup
from dc_keras.training.model_card import CARD_FILE
from dc_keras.training.model_directory import write_json

MAX_POSTS = 20

_OF_THE_TABLE = ("serving_default", "tokens", "find_challenge", "rank_challenges")


def add_challenge(
    bundle: Path, name: str, posts: Sequence[RawPost], version: int | None = None
) -> Path:
    """Writes a further version of a bundle that knows one challenge more.

    The networks stay as they are. How many join a challenge that none of them has seen
    is less certain than for one of training; `forecast_participants` says by how much.

    Args:
        bundle: a version, or the directory of versions: then the highest.
        name: of the challenge.
        posts: 1 to 20 sample videos, or a brief: one post with a caption alone.
        version: number of the new one; None takes the one after the highest.

    Returns:
        The directory of the new version.

    Raises:
        DataError: the bundle knows the name, or there are too few or too many posts.
    """
    place = find_version(bundle)
    predictor = Predictor.load(place)
    if not name.strip() or name in predictor.challenges:
        raise DataError(
            "a new challenge must have a name that the bundle does not know. "
            f"Received: challenge={name!r}"
        )
    if not 1 <= len(posts) <= MAX_POSTS:
        raise DataError(
            f"a challenge must have 1 to {MAX_POSTS} sample videos, or a brief. "
            f"Received: posts={len(posts)}"
        )
    names = (*predictor.challenges, name)
    table = np.concatenate(
        [
            predictor.find_challenges(predictor.challenges),
            predictor.represent_challenge(posts)[None, :],
            _unknown(predictor),
        ]
    )
    added = {
        name: {
            "num_posts": len(posts),
            "num_frames": sum(len(post.jpegs) for post in posts),
        }
    }
    config = {
        **predictor.config,
        "challenges": list(names),
        "added": {**predictor.config.get("added", {}), **added},
    }

    def fill(temporary: Path) -> None:
        module = _Extended(place, names, table)
        tf.saved_model.save(module, str(temporary), signatures=module.signatures())
        write_json(temporary / "config.json", config)
        for kept in (CALIBRATION_FILE, CARD_FILE):
            if (place / kept).exists():
                shutil.copyfile(place / kept, temporary / kept)

    return write_version(place.parent, version, fill)


def _unknown(predictor: Predictor) -> np.ndarray:
    """Returns what an unknown name is answered by, (1, e): it stays as trained."""
    nobody = "\0"
    find = predictor.signatures["find_challenge"]
    return np.asarray(find(name=tf.constant([nobody]))["challenge"])


class _Extended(tf.Module):
    """A loaded bundle with another table of challenges."""

    def __init__(self, place: Path, names: tuple[str, ...], table: np.ndarray) -> None:
        super().__init__()
        self.base = tf.saved_model.load(str(place))
        self.table = tf.Variable(table, trainable=False, name="challenge_table")
        self.lookup = name_lookup(names)
        self.names = names

    def signatures(self) -> dict[str, Any]:
        """Returns those of the bundle, and anew those that look into the table."""
        known: Mapping[str, Any] = self.base.signatures
        found = {k: f for k, f in known.items() if k not in _OF_THE_TABLE}
        new = {
            "serving_default": self._answer_captions,
            "tokens": self._answer_tokens,
            "find_challenge": self._find,
            "rank_challenges": self._rank,
        }
        for name, function in new.items():
            if name in known:
                _, specs = known[name].structured_input_signature
                found[name] = tf.function(function).get_concrete_function(**specs)
        return found

    def _find(self, name: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = self.lookup.lookup(name)
        known = rows >= 0
        row = tf.where(known, rows, len(self.names))
        return {"challenge": tf.gather(self.table, row), "known_challenge": known}

    def _answer(self, challenge: tf.Tensor, user: tf.Tensor) -> dict[str, tf.Tensor]:
        found = self._find(challenge)
        score = self.base.signatures["score"]
        told = score(user=user, challenge=found["challenge"])["probability"]
        return {"probability": told, "known_challenge": found["known_challenge"]}

    def _answer_captions(
        self, challenge: tf.Tensor, captions: tf.Tensor, frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        embed = self.base.signatures["embed_user"]
        return self._answer(challenge, embed(captions=captions, frames=frames)["user"])

    def _answer_tokens(
        self, challenge: tf.Tensor, token_ids: tf.Tensor, frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        embed = self.base.signatures["embed_user_tokens"]
        user = embed(token_ids=token_ids, frames=frames)["user"]
        return self._answer(challenge, user)

    def _rank(self, captions: tf.Tensor, frames: tf.Tensor) -> dict[str, tf.Tensor]:
        embed = self.base.signatures["embed_user"]
        user = embed(captions=captions, frames=frames)["user"]
        count = len(self.names)
        told = self.base.signatures["score"](
            user=tf.repeat(user, count, axis=0),
            challenge=tf.tile(self.table[:-1], (tf.shape(user)[0], 1)),
        )["probability"]
        best = tf.math.top_k(tf.reshape(told, (-1, count)), k=count)
        challenge = tf.gather(tf.constant(self.names), best.indices)
        return {"challenge": challenge, "probability": best.values}
