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
from dc_keras.serving.challenge_table import ChallengeTable
from dc_keras.serving.fact_inputs import unknown_post_facts, unknown_user_facts
from dc_keras.serving.predictor import (
    CALIBRATION_FILE,
    Predictor,
    find_version,
)
from dc_keras.serving.raw_requests import RawPost
from dc_keras.training.model_card import CARD_FILE
from dc_keras.training.model_directory import write_json

MAX_POSTS = 20


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
    table = _one_more(predictor, name, posts)
    added = {
        name: {
            "num_posts": len(posts),
            "num_frames": sum(len(post.jpegs) for post in posts),
        }
    }
    config = {
        **predictor.config,
        "challenges": list(table.challenges),
        "added": {**predictor.config.get("added", {}), **added},
    }

    def fill(temporary: Path) -> None:
        module = _Extended(place, table)
        save = tf.autograph.experimental.do_not_convert(tf.saved_model.save)
        save(module, str(temporary), signatures=module.signatures())
        write_json(temporary / "config.json", config)
        for kept in (CALIBRATION_FILE, CARD_FILE):
            if (place / kept).exists():
                shutil.copyfile(place / kept, temporary / kept)

    return write_version(place.parent, version, fill)


def _one_more(
    predictor: Predictor, name: str, posts: Sequence[RawPost]
) -> ChallengeTable:
    """Returns the challenges of a bundle and a new one."""
    old = np.array([known.encode() for known in predictor.challenges], object)
    # What an unknown name is answered by stays as trained.
    unknown = predictor.ask("find_challenge", name=np.array([b"\0"], object))
    described = predictor.ask("find_support", name=old)
    videos, valid = described["challenge_videos"], described["valid"]
    new = predictor.embed_posts("challenge", posts)[: videos.shape[1]]
    joined = predictor.ask(
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


class _Extended(tf.Module):
    """A loaded bundle with another table of challenges."""

    def __init__(self, place: Path, challenges: ChallengeTable) -> None:
        super().__init__()
        self.base = tf.saved_model.load(str(place))
        self.challenges = challenges

    def signatures(self) -> dict[str, Any]:
        """Returns those of the bundle, and anew those that look into the table."""
        known: Mapping[str, Any] = self.base.signatures
        new = {
            "serving_default": self._answer("embed_user"),
            "captions_only": self._answer_without_facts,
            "tokens": self._answer("embed_user_tokens"),
            "find_challenge": self.challenges.find,
            "find_support": self.challenges.find_videos,
            "rank_challenges": lambda **seen: self.challenges.rank(
                self._embed("embed_user", seen), self._score
            ),
        }
        found = {name: f for name, f in known.items() if name not in new}
        for name, function in new.items():
            if name in known:
                _, specs = known[name].structured_input_signature
                compiled = tf.function(function, autograph=False)
                found[name] = compiled.get_concrete_function(**specs)
        return found

    def _answer(self, embed: str) -> Any:
        def answer(challenge: tf.Tensor, **seen: tf.Tensor) -> dict[str, tf.Tensor]:
            user = self._embed(embed, seen)
            return self.challenges.answer(challenge, user, self._score)

        return answer

    def _answer_without_facts(
        self, challenge: tf.Tensor, captions: tf.Tensor, frames: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        facts = {
            **unknown_post_facts(captions)._asdict(),
            **unknown_user_facts(captions)._asdict(),
        }
        seen = {"captions": captions, "frames": frames, **facts}
        user = self._embed("embed_user", seen)
        return self.challenges.answer(challenge, user, self._score)

    def _embed(self, signature: str, seen: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.base.signatures[signature](**seen)["user"]

    def _score(self, user: tf.Tensor, challenge: tf.Tensor) -> tf.Tensor:
        score = self.base.signatures["score"]
        return score(user=user, challenge=challenge)["probability"]
