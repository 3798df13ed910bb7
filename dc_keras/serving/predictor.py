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

from dc_keras.checksums import SUMS_FILE
from dc_keras.corpus.study import Study
from dc_keras.damage import reading
from dc_keras.errors import DataError
from dc_keras.serving.calibration import Calibration
from dc_keras.serving.client import connect
from dc_keras.verification import verify_directory

CALIBRATION_FILE = "calibration.json"
# Within which a server must answer: eight users' frames take a while on two cores.
_TIMEOUT_S = 600.0


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
    def load(cls, place: Path) -> Predictor:
        """Loads a bundle.

        Args:
            place: a version's directory, or the one above it: then the highest version.

        Raises:
            DataError: there is no bundle, or a file of it is damaged.
        """
        import tensorflow_text  # noqa: F401  registers the ops that the graph uses

        place = find_version(place)
        verify_directory(place, "export_model")
        return cls._around(tf.saved_model.load(str(place)), place)

    @classmethod
    def connect(cls, place: Path, server: str, name: str | None = None) -> Predictor:
        """Asks a server that serves a bundle, in the very version that lies here.

        Args:
            place: as of `load`; only its choices are read.
            server: the server's address, http://, https:// or grpc://.
            name: under which it serves the bundle; None for the name of the directory
                of versions.

        Raises:
            DataError: there is no bundle, or another kind of address.
        """
        place = find_version(place).resolve()
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
        user = self.represent_users(histories)
        challenge = self.find_challenges(challenges)
        scores = self.ask(
            "score",
            user=np.repeat(user, len(challenges), axis=0),
            challenge=np.tile(challenge, (len(histories), 1)),
        )["probability"]
        return scores.reshape(len(histories), len(challenges))

    def represent_users(self, histories: Sequence[Sequence[RawPost]]) -> np.ndarray:
        """Returns x^u of each user, float32 (num_users, d).

        Args:
            histories: as of `predict`.

        Raises:
            DataError: a user has no posts.
        """
        return self._represent("user", histories)

    def represent_challenge(self, posts: Sequence[RawPost]) -> np.ndarray:
        """Returns x^c of a challenge that the bundle need not know, float32 (e,).

        Args:
            posts: sample videos, or a brief: one post with a caption alone.

        Raises:
            DataError: there are none.
        """
        one: np.ndarray = self._represent("challenge", [posts])[0]
        return one

    def find_challenges(self, challenges: Sequence[str]) -> np.ndarray:
        """Returns x^c of challenges that the bundle knows, float32 (num, e).

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
        captions, frames = _pack([posts])
        num_posts, num_frames = frames.shape[1:]
        return self.ask(
            f"vary_{side}_video",
            captions=captions.reshape(num_posts, 1),
            frames=frames[0],
            kept=np.ones((num_posts, 1, num_frames), bool),
        )[f"{side}_videos"][:, 0]

    def prepare_users(self, representations: np.ndarray) -> np.ndarray:
        """Returns x^u as `rank_users` takes them, float32 (num_users, p)."""
        return self.ask("prepare_users", user=representations)["prepared"]

    def _represent(self, side: str, sets: Sequence[Sequence[RawPost]]) -> np.ndarray:
        if not all(sets):
            raise DataError(
                f"every {side} must have at least one post. Received: "
                f"num_posts={[len(posts) for posts in sets]}"
            )
        captions, frames = _pack(sets)
        return self.ask(f"embed_{side}", captions=captions, frames=frames)[side]

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


def _pack(histories: Sequence[Sequence[RawPost]]) -> tuple[np.ndarray, np.ndarray]:
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
    return captions, frames
