"""Predicts with an exported bundle, in process or on a server, from raw posts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dc_keras.errors import DataError
from dc_keras.serving.bundle_config import (
    find_sha256,
    find_version,
    read_config,
    require_challenge_posts,
    require_challenges,
)
from dc_keras.serving.calibration import Calibration
from dc_keras.serving.client import Client
from dc_keras.serving.connect import connect
from dc_keras.serving.local_model import LocalModel
from dc_keras.serving.raw_requests import (
    RawPost,
    RawUser,
    as_user,
    pack_posts,
    pack_users,
)
from dc_keras.study.study import Study
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading

CALIBRATION_FILE = "calibration.json"
# Long enough for the frames of eight users on two cores.
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Predictor:
    """A bundle, in process or on a server.

    Attributes:
        model: the SavedModel in this process, or the client of a server.
        config: the settings of the bundle.
        calibration: the calibration that the bundle applies to the model's scores.
        sha256: SHA-256 of the bundle's file of checksums.
    """

    model: LocalModel | Client
    config: Mapping[str, Any]
    calibration: Calibration
    sha256: str

    def __repr__(self) -> str:
        names = ", ".join(self.challenges)
        return f"<Predictor of a {type(self.model).__name__}, for {names}>"

    @classmethod
    def load(cls, place: str | Path) -> Predictor:
        """Loads a bundle.

        Args:
            place: directory of a version, or of all versions; the latter selects the
                highest version.

        Raises:
            DataError: there is no bundle, it takes video vectors, or one of its files
                is damaged.
        """
        place = _find_bundle(place)
        return cls._around(LocalModel(place), place)

    @classmethod
    def connect(
        cls, place: str | Path, server: str, name: str | None = None
    ) -> Predictor:
        """Connects to a server that serves the same version of a local bundle.

        Args:
            place: directory of the bundle, as for `load`; the model is not loaded.
            server: address of the server: http://, https:// or grpc://.
            name: name of the model on the server; None uses the name of the directory
                of versions.

        Raises:
            DataError: there is no bundle, it takes video vectors, or the address has
                another form.
        """
        place = _find_bundle(place).resolve()
        version = int(place.name) if place.name.isdigit() else None
        model = connect(
            server, name or place.parent.name, version=version, timeout_s=_TIMEOUT_S
        )
        return cls._around(model, place)

    @classmethod
    def _around(cls, model: LocalModel | Client, place: Path) -> Predictor:
        with reading(place, "a bundle of export_model"):
            calibration = json.loads((place / CALIBRATION_FILE).read_text("utf-8"))
            return cls(
                model,
                dict(read_config(place)),
                Calibration.from_dict(calibration),
                find_sha256(place),
            )

    def call(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a signature of the bundle.

        Args:
            signature: name of the signature; see docs/serving.md.
            **inputs: arrays by name; strings are bytes in arrays of objects. Missing
                facts are filled in as unknown.

        Returns:
            Arrays by name.

        Raises:
            DataError: the bundle has no such signature, or the signature has other
                inputs.
        """
        return dict(self.model.predict(signature, inputs))

    @property
    def challenges(self) -> tuple[str, ...]:
        """Names of the bundle's challenges."""
        return tuple(self.config["challenges"])

    @property
    def study(self) -> Study:
        """The model's study, which selects the posts of a user."""
        settings = self.config["study"]
        # JSON sorts the names; the study needs the order of training.
        marks = settings["challenges"]
        ordered = {name: marks[name] for name in self.challenges if name in marks}
        return Study.from_settings({**settings, "challenges": ordered})

    @property
    def sampling(self) -> Mapping[str, Any] | None:
        """Settings of frame sampling; None for a text-only model."""
        sampling: Mapping[str, Any] | None = self.config["sides"]["user"]["sampling"]
        return sampling

    def predict(
        self, users: Sequence[RawUser | Sequence[RawPost]], challenges: Sequence[str]
    ) -> np.ndarray:
        """Returns the probability that each user joins each challenge.

        Args:
            users: users, or only their posts, newest first, at least one each; the
                first m are used.
            challenges: names of challenges.

        Returns:
            float32 (num_users, num_challenges).

        Raises:
            DataError: the bundle lacks a challenge, or a user has no posts.
        """
        self.require_challenges(challenges)
        if len(challenges) == 1:
            # One call of one signature, which is prepared faster than three.
            names = np.array([challenges[0].encode()] * len(users), object)
            answer = self.call("serving_default", challenge=names, **_pack(users))
            return answer["probability"][:, None]
        user = self.represent_users(users)
        challenge = self.find_challenges(challenges)
        scores = self.call(
            "score",
            user=np.repeat(user, len(challenges), axis=0),
            challenge=np.tile(challenge, (len(users), 1)),
        )["probability"]
        return scores.reshape(len(users), len(challenges))

    def represent_users(
        self, users: Sequence[RawUser | Sequence[RawPost]]
    ) -> np.ndarray:
        """Returns the vector of each user, float32 (num_users, d).

        Args:
            users: as for `predict`.

        Raises:
            DataError: a user has no posts.
        """
        return self.call("embed_user", **_pack(users))["user"]

    def represent_challenge(self, posts: Sequence[RawPost]) -> np.ndarray:
        """Returns the vector of a known or unknown challenge, float32 (e,).

        Args:
            posts: sample videos, or a brief, which is one post with only a caption.

        Raises:
            DataError: there are no posts, or the bundle has a baseline of the paper.
        """
        require_challenge_posts(self.config)
        inputs = pack_posts([posts], "challenge")
        vector: np.ndarray = self.call("embed_challenge", **inputs)["challenge"][0]
        return vector

    def find_challenges(self, challenges: Sequence[str]) -> np.ndarray:
        """Returns the vectors of known challenges, float32 (num_challenges, e).

        Raises:
            DataError: the bundle lacks a challenge.
        """
        self.require_challenges(challenges)
        names = np.array([name.encode() for name in challenges], object)
        return self.call("find_challenge", name=names)["challenge"]

    def embed_posts(self, side: str, posts: Sequence[RawPost]) -> np.ndarray:
        """Returns the embedding of each post for one side, float32 (num_posts, width).

        Args:
            side: "user" or "challenge".
            posts: at least one.
        """
        return self.embed_variants(side, [[post] for post in posts])[:, 0]

    def embed_variants(
        self,
        side: str,
        variants: Sequence[Sequence[RawPost]],
        kept: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns the embeddings of variants of posts; frames are encoded once.

        Args:
            side: "user" or "challenge".
            variants: variants of each post, equally many of each; all use the frames of
                the first variant.
            kept: the frames of each variant, bool (num_posts, num_variants,
                num_frames); None for all frames.

        Returns:
            float32 (num_posts, num_variants, width).
        """
        inputs = pack_posts(variants, side)
        inputs["frames"] = inputs["frames"][:, 0]
        if kept is None:
            shape = (*inputs["captions"].shape, inputs["frames"].shape[1])
            kept = np.ones(shape, bool)
        return self.call(f"vary_{side}_video", kept=kept, **inputs)[f"{side}_videos"]

    def prepare_users(self, representations: np.ndarray) -> np.ndarray:
        """Returns the inputs of `rank_users` for users, float32 (num_users, p)."""
        return self.call("prepare_users", user=representations)["prepared"]

    def require_challenges(self, challenges: Sequence[str]) -> None:
        """Checks that the bundle contains challenges.

        Raises:
            DataError: the bundle lacks a challenge.
        """
        require_challenges(self.challenges, challenges)


def _pack(users: Sequence[RawUser | Sequence[RawPost]]) -> dict[str, np.ndarray]:
    """Returns the inputs for users, as for `Predictor.predict`."""
    raw_users = [as_user(user) for user in users]
    posts = pack_posts([user.posts for user in raw_users], "user")
    return {**posts, **pack_users(raw_users)}


def load_bundle(place: str | Path) -> Predictor:
    """Loads a bundle that takes raw posts; see `Predictor.load`.

    Args:
        place: directory of a version, or of all versions; the latter selects the
            highest version.

    Raises:
        DataError: there is no bundle, it takes video vectors, or one of its files is
            damaged.
    """
    return Predictor.load(place)


def _find_bundle(place: str | Path) -> Path:
    """Returns the undamaged version of a bundle that takes raw posts."""
    found = find_version(Path(place))
    verify_directory(found, "export_model")
    if read_config(found).get("task") == "video_vectors":
        raise DataError(
            f"{found} takes video vectors, not raw posts: load it with "
            "tf.saved_model.load"
        )
    return found
