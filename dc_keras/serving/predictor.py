"""Asks an exported bundle: raw posts of users in, probabilities of joining out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.corpus.study import Study
from dc_keras.errors import DataError


@dataclass(frozen=True)
class RawPost:
    """A post as a client sends it.

    Attributes:
        caption: the text as posted, hashtags included.
        jpegs: frames in order of time, JPEG files; none without media.
    """

    caption: str
    jpegs: Sequence[bytes] = ()


@dataclass(frozen=True)
class Predictor:
    """A loaded bundle.

    Attributes:
        signatures: the bundle's functions by name.
        config: every choice behind the bundle.
    """

    signatures: Mapping[str, Any]
    config: Mapping[str, Any]

    @classmethod
    def load(cls, place: Path) -> Predictor:
        """Loads a bundle.

        Args:
            place: a version's directory, or the one above it: then the highest version.

        Raises:
            DataError: there is no bundle.
        """
        import tensorflow_text  # noqa: F401  registers the ops that the graph uses

        place = find_version(place)
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        return cls(tf.saved_model.load(str(place)).signatures, config)

    @property
    def challenges(self) -> tuple[str, ...]:
        """The challenges that the bundle knows."""
        return tuple(self.config["challenges"])

    @property
    def study(self) -> Study:
        """The Study of the model: it says which posts of a user count."""
        return Study.from_settings(self.config["study"])

    @property
    def sampling(self) -> Mapping[str, Any] | None:
        """How frames are taken from media; None for a text-only model."""
        sampling: Mapping[str, Any] | None = self.config["sides"]["user"]["sampling"]
        return sampling

    def predict(
        self, histories: Sequence[Sequence[RawPost]], challenges: Sequence[str]
    ) -> np.ndarray:
        """Returns the probability that each user joins each challenge.

        Args:
            histories: the posts of each user, newest first, at least one; the first m
                count.
            challenges: names.

        Returns:
            float32 (num_users, num_challenges).

        Raises:
            DataError: the bundle does not know a challenge, or a user has no posts.
        """
        self.require_challenges(challenges)
        if not all(histories):
            raise DataError(
                "every user must have at least one post. Received: "
                f"num_posts={[len(posts) for posts in histories]}"
            )
        captions, frames = _pack(histories)
        embed_user = self.signatures["embed_user"]
        user = embed_user(captions=captions, frames=frames)["user"]
        names = tf.constant(list(challenges))
        challenge = self.signatures["embed_challenge"](name=names)["challenge"]
        scores = self.signatures["score"](
            user=tf.repeat(user, len(challenges), axis=0),
            challenge=tf.tile(challenge, (len(histories), 1)),
        )["probability"]
        return np.asarray(scores).reshape(len(histories), len(challenges))

    def require_challenges(self, challenges: Sequence[str]) -> None:
        """Refuses challenges that the bundle does not know.

        Raises:
            DataError: there are some.
        """
        unknown = [name for name in challenges if name not in self.challenges]
        if unknown:
            raise DataError(
                f"the bundle knows the challenges {', '.join(self.challenges)}. "
                f"Received: challenge={unknown[0]!r}"
            )


def find_version(place: Path) -> Path:
    """Returns the directory of a bundle's version, the highest where there are many.

    Raises:
        DataError: there is no bundle.
    """
    if (place / "saved_model.pb").exists():
        return place
    numbers = [p for p in place.glob("*") if p.name.isdigit()]
    if not numbers:
        raise DataError(
            f"no bundle in {place}: neither saved_model.pb nor a numbered version; "
            "`python -m pipelines.export_model` makes one"
        )
    return max(numbers, key=lambda p: int(p.name))


def _pack(histories: Sequence[Sequence[RawPost]]) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns captions (num_users, m) and frames (num_users, m, f), padded with ""."""
    num_posts = max(len(posts) for posts in histories)
    num_frames = max(1, *(len(post.jpegs) for posts in histories for post in posts))
    captions = np.full((len(histories), num_posts), b"", object)
    frames = np.full((len(histories), num_posts, num_frames), b"", object)
    for row, posts in enumerate(histories):
        for column, post in enumerate(posts):
            # "" without frames would be padding; a blank reads the same to BERT.
            captions[row, column] = post.caption.encode() or b" "
            frames[row, column, : len(post.jpegs)] = list(post.jpegs)
    return tf.constant(captions, tf.string), tf.constant(frames, tf.string)
