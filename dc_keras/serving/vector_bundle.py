"""A bundle of a `DeepChallenger` alone, which takes video vectors of any encoder.

Its signatures; B is the batch, m and n are numbers of videos, d and e the widths of the
vectors, as in the inputs of `DeepChallenger`:

    score             user float32 (B, m, d), newest first, user_valid bool (B, m),
                      False where padded, challenge float32 (B, n, e),
                      challenge_valid (B, n) → probability float32 (B,)

which is `serving_default`, too; and with `data`, whose challenges the bundle then knows
by name:

    serving_default   challenge string (B,), user (B, m, d), user_valid (B, m)
                      → probability (B,), known_challenge bool (B,)
    rank_challenges   user (B, m, d), user_valid (B, m)
                      → challenge string (B, C), probability (B, C), best first

Sets may have any number of videos: the first `history_max` and `support_max` count. An
unknown name gets the mean representation of the known challenges.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    HEAD,
    USER_REPRESENTATION,
    DeepChallenger,
)
from dc_keras.serving.bundle import write_saved_model, write_version
from dc_keras.serving.challenge_table import ChallengeTable, fit_to
from dc_keras.serving.op_audit import find_release
from dc_keras.serving.signatures import Endpoint
from dc_keras.training.model_directory import package_versions, write_json
from dc_keras.training.participation_part import ParticipationPart

_NAMES = tf.TensorSpec((None,), tf.string, name="challenge")
# By side, the number of videos that count and the layer that joins them.
_SIDES = {
    "user": ("history_max", USER_REPRESENTATION),
    "challenge": ("support_max", CHALLENGE_REPRESENTATION),
}


class VectorModel(tf.Module):
    """The functions of the bundle.

    Args:
        model: a single network, not several copies.
        data: a part whose challenges are known by name, or None.

    Raises:
        DataError: the model has several copies, or `data` have vectors of other sizes.
    """

    def __init__(self, model: DeepChallenger, data: ParticipationPart | None) -> None:
        super().__init__()
        if len(model.output.shape) > 1:
            raise DataError(
                "a model of several copies must be exported one by one; see "
                f"`select_copy`. Received: copies={model.output.shape[1]}"
            )
        if data is not None and data.sizes != model.sizes:
            raise DataError(
                f"`data` must have the sizes of the model, {model.sizes}. "
                f"Received: {data.sizes}"
            )
        self.model = model
        self.challenges = None if data is None else self._table(data)

    def endpoints(self) -> dict[str, Endpoint]:
        """Returns the functions of all signatures and the specs of their inputs."""
        user, challenge = _specs(self.model, "user"), _specs(self.model, "challenge")
        found: dict[str, Endpoint] = {"score": (self._score, [*user, *challenge])}
        if self.challenges is not None:
            found["serving_default"] = self._answer, [_NAMES, *user]
            found["rank_challenges"] = self._rank, user
        return found

    def _score(
        self,
        user: tf.Tensor,
        user_valid: tf.Tensor,
        challenge: tf.Tensor,
        challenge_valid: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        x_u = self._represent("user", user, user_valid)
        x_c = self._represent("challenge", challenge, challenge_valid)
        return {"probability": self._probability(x_u, x_c)}

    def _answer(
        self, challenge: tf.Tensor, user: tf.Tensor, user_valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        x_u = self._represent("user", user, user_valid)
        return self._known.answer(challenge, x_u, self._probability)

    def _rank(self, user: tf.Tensor, user_valid: tf.Tensor) -> dict[str, tf.Tensor]:
        x_u = self._represent("user", user, user_valid)
        return self._known.rank(x_u, self._probability)

    @property
    def _known(self) -> ChallengeTable:
        if self.challenges is None:
            raise RuntimeError("a bundle without data knows no challenge by name")
        return self.challenges

    def _represent(self, side: str, videos: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Joins the vectors of sets; equations (1) and (2)."""
        size, layer = _SIDES[side]
        count = self.model.sizes[size]
        videos, valid = fit_to(videos, count), fit_to(valid, count)
        # Padding is zero to a concatenation, whatever a request has there.
        videos *= tf.cast(valid, tf.float32)[..., None]
        return self.model.get_layer(layer)(videos, valid)

    def _probability(self, x_u: tf.Tensor, x_c: tf.Tensor) -> tf.Tensor:
        return self.model.get_layer(HEAD)([x_c, x_u], training=False)

    def _table(self, data: ParticipationPart) -> ChallengeTable:
        videos, valid = data.challenge_table
        layer = self.model.get_layer(CHALLENGE_REPRESENTATION)
        known = np.asarray(layer(tf.constant(videos), tf.constant(valid)))
        rows = np.concatenate([known, known.mean(axis=0, keepdims=True)])
        return ChallengeTable(data.data.grid.challenges, rows, videos, valid)


def _specs(model: DeepChallenger, side: str) -> list[tf.TensorSpec]:
    dim = model.sizes[f"{side}_dim"]
    return [
        tf.TensorSpec((None, None, dim), tf.float32, name=side),
        tf.TensorSpec((None, None), tf.bool, name=f"{side}_valid"),
    ]


def export_vector_bundle(
    model: DeepChallenger,
    output: Path,
    version: int | None = None,
    *,
    data: ParticipationPart | None = None,
    serving_target: str | None = None,
) -> Path:
    """Writes a bundle that takes video vectors; arguments as of `export.export`."""
    if serving_target is not None:
        find_release(serving_target)
    served = VectorModel(model, data)
    challenges = () if data is None else data.data.grid.challenges
    config: dict[str, Any] = {
        "task": "video_vectors",
        "model": model.get_config(),
        "challenges": list(challenges),
        "serving_target": serving_target,
        "versions": package_versions(),
    }

    def fill(place: Path) -> None:
        known = served.challenges
        tables = [] if known is None else [known.lookup]
        write_saved_model(served.endpoints(), tables, place)
        write_json(place / "config.json", config)

    return write_version(output, version, fill)
