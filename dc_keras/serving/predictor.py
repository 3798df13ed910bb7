"""Asks an exported bundle: raw posts of users in, probabilities of joining out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.serving.calibration import Calibration
from dc_keras.serving.connect import connect
from dc_keras.serving.raw_requests import (
    RawPost,
    RawUser,
    as_user,
    pack_posts,
    pack_users,
)
from dc_keras.study.study import Study
from tfrecords.storage.checksums import SUMS_FILE
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading

CALIBRATION_FILE = "calibration.json"
# Within which a server must answer: eight users' frames take a while on two cores.
_TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Predictor:
    """A bundle that answers, in process or on a server.

    Attributes:
        model: the loaded SavedModel, or the client of a server.
        config: every choice behind the bundle.
        calibration: from the model's scores to the probabilities that are answered.
        sha256: of the bundle's checksums.
    """

    model: Any
    config: Mapping[str, Any]
    calibration: Calibration
    sha256: str

    @classmethod
    def load(cls, place: str | Path) -> Predictor:
        """Loads a bundle.

        Args:
            place: a version's directory, or the one above it: then the highest version.

        Raises:
            DataError: there is no bundle, or a file of it is damaged.
        """
        import tensorflow_text  # noqa: F401  registers the ops that the graph uses

        place = find_version(Path(place))
        verify_directory(place, "export_model")
        return cls._around(tf.saved_model.load(str(place)), place)

    @classmethod
    def connect(
        cls, place: str | Path, server: str, name: str | None = None
    ) -> Predictor:
        """Asks a server that serves a bundle, in the very version that lies here.

        Args:
            place: as of `load`; only its choices are read.
            server: the server's address, http://, https:// or grpc://.
            name: under which it serves the bundle; None for the name of the directory
                of versions.

        Raises:
            DataError: there is no bundle, or another kind of address.
        """
        place = find_version(Path(place)).resolve()
        verify_directory(place, "export_model")
        version = int(place.name) if place.name.isdigit() else None
        model = connect(
            server, name or place.parent.name, version=version, timeout_s=_TIMEOUT_S
        )
        return cls._around(model, place)

    @classmethod
    def _around(cls, model: Any, place: Path) -> Predictor:
        checksums = (place / SUMS_FILE).read_bytes()
        with reading(place, "a bundle of export_model"):
            calibration = json.loads((place / CALIBRATION_FILE).read_text("utf-8"))
            return cls(
                model,
                dict(read_config(place)),
                Calibration.from_dict(calibration),
                hashlib.sha256(checksums).hexdigest(),
            )

    @property
    def signatures(self) -> Mapping[str, Any]:
        """The bundle's functions by name."""
        found: Mapping[str, Any] = self.model.signatures
        return found

    def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls a function of the bundle with arrays, and returns arrays.

        Args:
            signature: its name; see `endpoints`.
            **inputs: by name; strings are bytes in arrays of objects.

        Raises:
            DataError: the bundle has no such function.
        """
        if signature not in self.signatures:
            raise DataError(
                f"the bundle must have the signature {signature!r}; export it anew. "
                f"Received: signatures={', '.join(sorted(self.signatures))}"
            )
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        answer = self.signatures[signature](**tensors)
        return {name: np.asarray(value) for name, value in answer.items()}

    @property
    def challenges(self) -> tuple[str, ...]:
        """The challenges that the bundle knows."""
        return tuple(self.config["challenges"])

    @property
    def study(self) -> Study:
        """The Study of the model: it says which posts of a user count."""
        settings = self.config["study"]
        # JSON sorts names; the order of the challenges is that of training.
        marks = settings["challenges"]
        ordered = {name: marks[name] for name in self.challenges if name in marks}
        return Study.from_settings({**settings, "challenges": ordered})

    @property
    def sampling(self) -> Mapping[str, Any] | None:
        """How frames are taken from media; None for a text-only model."""
        sampling: Mapping[str, Any] | None = self.config["sides"]["user"]["sampling"]
        return sampling

    def predict(
        self, users: Sequence[RawUser | Sequence[RawPost]], challenges: Sequence[str]
    ) -> np.ndarray:
        """Returns the probability that each user joins each challenge.

        Args:
            users: each with the posts newest first, at least one; the first m count.
                A user may be the posts alone.
            challenges: names.

        Returns:
            float32 (num_users, num_challenges).

        Raises:
            DataError: the bundle does not know a challenge, or a user has no posts.
        """
        self.require_challenges(challenges)
        user = self.represent_users(users)
        challenge = self.find_challenges(challenges)
        scores = self.ask(
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
            users: as of `predict`.

        Raises:
            DataError: a user has no posts.
        """
        every = [as_user(user) for user in users]
        inputs = pack_posts([user.posts for user in every], "user")
        return self.ask("embed_user", **inputs, **pack_users(every))["user"]

    def represent_challenge(self, posts: Sequence[RawPost]) -> np.ndarray:
        """Returns the vector of any challenge, known or not, float32 (e,).

        Args:
            posts: sample videos, or a brief: one post with a caption alone.

        Raises:
            DataError: there are none.
        """
        inputs = pack_posts([posts], "challenge")
        one: np.ndarray = self.ask("embed_challenge", **inputs)["challenge"][0]
        return one

    def find_challenges(self, challenges: Sequence[str]) -> np.ndarray:
        """Returns the vectors of challenges that the bundle knows, float32 (num, e).

        Raises:
            DataError: it does not know one.
        """
        self.require_challenges(challenges)
        names = np.array([name.encode() for name in challenges], object)
        return self.ask("find_challenge", name=names)["challenge"]

    def embed_posts(self, side: str, posts: Sequence[RawPost]) -> np.ndarray:
        """Returns each post as one side sees it, float32 (num_posts, width).

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
        """Returns variants of posts as one side sees them; frames are encoded once.

        Args:
            side: "user" or "challenge".
            variants: of each post, as many of each; all have the frames of the first.
            kept: bool (num_posts, num_variants, num_frames), the frames that a variant
                has; None for all.

        Returns:
            float32 (num_posts, num_variants, width).
        """
        inputs = pack_posts(variants, side)
        inputs["frames"] = inputs["frames"][:, 0]
        if kept is None:
            shape = (*inputs["captions"].shape, inputs["frames"].shape[1])
            kept = np.ones(shape, bool)
        return self.ask(f"vary_{side}_video", kept=kept, **inputs)[f"{side}_videos"]

    def prepare_users(self, representations: np.ndarray) -> np.ndarray:
        """Returns users as `rank_users` takes them, float32 (num_users, p)."""
        return self.ask("prepare_users", user=representations)["prepared"]

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


def load_bundle(place: str | Path) -> Predictor:
    """Loads a bundle that takes raw posts; see `Predictor.load`.

    Args:
        place: a version's directory, or the one above it: then the highest version.

    Raises:
        DataError: there is no bundle, or a file of it is damaged.
    """
    return Predictor.load(place)


def read_config(place: Path) -> dict[str, Any]:
    """Returns every choice behind a version of a bundle."""
    found: dict[str, Any] = json.loads((place / "config.json").read_text("utf-8"))
    return found


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
