"""Adds a challenge to a bundle, from sample videos or a brief, without training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.serving.bundle import save_signatures, write_version
from dc_keras.serving.bundle_config import (
    find_version,
    read_config,
    require_challenge_posts,
)
from dc_keras.serving.challenge_table import ChallengeTable
from dc_keras.serving.predictor import CALIBRATION_FILE, Predictor
from dc_keras.serving.raw_requests import RawPost
from dc_keras.serving.signatures import unknown_facts_of
from dc_keras.training.model_card import CARD_FILE
from dc_keras.training.model_directory import write_json
from tfrecords.storage.integrity import verify_directory

MAX_POSTS = 20


def add_challenge(
    bundle: Path,
    name: str,
    posts: Sequence[RawPost],
    version: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Writes a new version of a bundle that contains one more challenge.

    The networks are not changed. The number of participants of a new challenge is less
    certain than that of a training challenge; the intervals of `forecast_participants`
    include this uncertainty.

    Args:
        bundle: directory of a version, or of all versions, of which the highest is
            used.
        name: name of the challenge.
        posts: 1 to 20 sample videos, or a brief, which is one post with only a caption.
        version: number of the new version; None for the one after the highest.
        progress: called with a line before the long work, when the arguments are valid.

    Returns:
        The directory of the new version.

    Raises:
        DataError: the bundle contains the name already or has a baseline of the paper,
            or the number of posts is out of range.
    """
    place = find_version(bundle)
    verify_directory(place, "export_model")
    config = read_config(place)
    require_challenge_posts(config)
    if not name.strip() or name in config["challenges"]:
        raise DataError(
            "a new challenge must have a name that the bundle does not know. "
            f"Received: challenge={name!r}"
        )
    if not 1 <= len(posts) <= MAX_POSTS:
        raise DataError(
            f"a challenge must have 1 to {MAX_POSTS} sample videos, or a brief. "
            f"Received: posts={len(posts)}"
        )
    progress("loading the bundle and writing its next version, about half a minute")
    predictor = Predictor.load(place)
    table = _extend_table(predictor, name, posts)
    added = {
        name: {
            "num_posts": len(posts),
            "num_frames": sum(len(post.jpegs) for post in posts),
        }
    }
    config = {
        **config,
        "challenges": list(table.challenges),
        "added": {**config.get("added", {}), **added},
    }

    def fill(temporary: Path) -> None:
        module = _ExtendedBundle(tf.saved_model.load(str(place)), table)
        save_signatures(module, module.signatures(), temporary)
        write_json(temporary / "config.json", config)
        for copied in (CALIBRATION_FILE, CARD_FILE):
            if (place / copied).exists():
                shutil.copyfile(place / copied, temporary / copied)

    return write_version(place.parent, version, fill)


def _extend_table(
    predictor: Predictor, name: str, posts: Sequence[RawPost]
) -> ChallengeTable:
    """Returns the challenge table of a bundle with one more challenge."""
    old = np.array([known.encode() for known in predictor.challenges], object)
    # The row for unknown names is kept as it was trained.
    unknown = predictor.call("find_challenge", name=np.array([b"\0"], object))
    described = predictor.call("find_support", name=old)
    videos, valid = described["challenge_videos"], described["valid"]
    new = predictor.embed_posts("challenge", posts)[: videos.shape[1]]
    joined = predictor.call(
        "join_challenge",
        challenge_videos=new[None],
        valid=np.ones((1, len(new)), bool),
        name=np.array([b""], object),
    )
    missing = videos.shape[1] - len(new)
    return ChallengeTable(
        (*predictor.challenges, name),
        np.concatenate(
            [
                predictor.find_challenges(predictor.challenges),
                joined["challenge"],
                unknown["challenge"],
            ]
        ),
        np.concatenate([videos, np.pad(new, ((0, missing), (0, 0)))[None]]),
        np.concatenate([valid, (np.arange(videos.shape[1]) < len(new))[None]]),
    )


class _ExtendedBundle(tf.Module):
    """A loaded bundle with a different challenge table."""

    def __init__(self, base: Any, challenges: ChallengeTable) -> None:
        super().__init__()
        self.base = base
        self.challenges = challenges

    def signatures(self) -> dict[str, Any]:
        """Returns the bundle's signatures; those that use the table are rebuilt."""
        known: Mapping[str, Any] = self.base.signatures
        new = {
            "serving_default": self._answer("embed_user"),
            "captions_only": self._answer_without_facts,
            "tokens": self._answer("embed_user_tokens"),
            "find_challenge": self.challenges.find,
            "find_support": self.challenges.find_videos,
            "rank_challenges": lambda **inputs: self.challenges.rank(
                self._embed("embed_user", inputs), self._score
            ),
        }
        signatures = {name: f for name, f in known.items() if name not in new}
        for name, function in new.items():
            if name in known:
                _, specs = known[name].structured_input_signature
                compiled = tf.function(function, autograph=False)
                signatures[name] = compiled.get_concrete_function(**specs)
        return signatures

    def _answer(self, embed: str) -> Any:
        def answer(challenge: tf.Tensor, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            user = self._embed(embed, inputs)
            return self.challenges.answer(challenge, user, self._score)

        return answer

    def _answer_without_facts(
        self, challenge: tf.Tensor, captions: tf.Tensor, frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        facts = unknown_facts_of(captions)
        inputs = {"captions": captions, "frames": frames, **facts}
        user = self._embed("embed_user", inputs)
        return self.challenges.answer(challenge, user, self._score)

    def _embed(self, signature: str, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.base.signatures[signature](**inputs)["user"]

    def _score(self, user: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        score = self.base.signatures["score"]
        return score(user=user, challenge=challenge)["probability"]
