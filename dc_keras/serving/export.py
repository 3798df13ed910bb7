"""Exports any participation model of this package as a SavedModel for tf-serving.

The bundle of a `DeepChallenger` takes video vectors of any encoder. In its signatures,
B is the batch, m and n are numbers of videos, d and e the widths of the vectors:

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
from tempfile import TemporaryDirectory

import numpy as np
import tensorflow as tf

from dc_keras.errors import DataError, require_type
from dc_keras.models.deep_challenger import (
    CHALLENGE_REPRESENTATION,
    HEAD,
    USER_REPRESENTATION,
    DeepChallenger,
)
from dc_keras.serving.bundle import export_bundle, write_saved_model, write_version
from dc_keras.serving.challenge_table import ChallengeTable, fit_to
from dc_keras.serving.op_audit import find_release
from dc_keras.serving.signatures import Endpoint
from dc_keras.training.model_directory import package_versions, write_json
from dc_keras.training.participation_part import ParticipationPart
from dc_keras.training.saved_participation import SavedParticipation
from dc_keras.training.trained_participation import TrainedParticipation

_NAMES = tf.TensorSpec((None,), tf.string, name="challenge")
# By side, the number of videos that count and the layer that joins them.
_SIDES = {
    "user": ("history_max", USER_REPRESENTATION),
    "challenge": ("support_max", CHALLENGE_REPRESENTATION),
}


def export(
    model: DeepChallenger | TrainedParticipation | SavedParticipation | str | Path,
    directory: str | Path,
    *,
    data: ParticipationPart | None = None,
    version: int | None = None,
    calibration: str = "platt",
    serving_target: str | None = None,
) -> Path:
    """Writes a new version of a bundle, which tf-serving loads as it is.

    A fitted participation model, or the directory of one, becomes a bundle that takes
    raw captions and frames: see docs/serving.md. A `DeepChallenger` becomes a bundle
    that takes video vectors.

    Args:
        model: what is exported.
        directory: of the bundle's versions.
        data: for a `DeepChallenger`, a part whose challenges the bundle knows by name;
            None takes the vectors of challenges from each request.
        version: number of the version; None takes the one after the highest.
        calibration: for a fitted participation model, one of
            `dc_keras.serving.calibration.METHODS`.
        serving_target: release of tensorflow/serving that must be able to load it, such
            as "2.20"; None refuses nothing.

    Returns:
        The directory of the version.

    Raises:
        DataError: the version exists, the target lacks an op, the encoders that made
            the features are unknown, as for features from arrays, or the model has
            several copies or other sizes than `data`.
        TypeError: another kind of model or of data.
    """
    if data is not None:
        require_type("data", data, ParticipationPart)
    output = Path(directory)
    if isinstance(model, DeepChallenger):
        return _export_vector_bundle(model, output, version, data, serving_target)
    with TemporaryDirectory(prefix="dc-model-") as temporary:
        if isinstance(model, TrainedParticipation):
            model.save(temporary)
            place = Path(temporary)
        elif isinstance(model, SavedParticipation):
            place = model.directory
        elif isinstance(model, str | Path):
            place = Path(model)
        else:
            raise TypeError(
                "`model` must be a DeepChallenger, a fitted participation model or the "
                f"directory of one. Received: {type(model).__name__}"
            )
        return export_bundle(
            place,
            output,
            version,
            calibration=calibration,
            serving_target=serving_target,
        )


def _endpoints(
    model: DeepChallenger, table: ChallengeTable | None
) -> dict[str, Endpoint]:
    """Returns the functions of all signatures and the specs of their inputs."""

    def represent(side: str, videos: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
        """Joins the vectors of sets; equations (1) and (2)."""
        size, layer = _SIDES[side]
        videos, valid = (fit_to(x, model.sizes[size]) for x in (videos, valid))
        # Padding is zero to a concatenation, whatever a request has there.
        videos *= tf.cast(valid, tf.float32)[..., None]
        return model.get_layer(layer)(videos, valid)

    def probability(x_u: tf.Tensor, x_c: tf.Tensor) -> tf.Tensor:
        return model.get_layer(HEAD)([x_c, x_u], training=False)

    def score(
        user: tf.Tensor,
        user_valid: tf.Tensor,
        challenge: tf.Tensor,
        challenge_valid: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        x_c = represent("challenge", challenge, challenge_valid)
        return {"probability": probability(represent("user", user, user_valid), x_c)}

    user, challenge = (_specs(model, side) for side in _SIDES)
    if table is None:
        return {"score": (score, [*user, *challenge])}
    return {
        "score": (score, [*user, *challenge]),
        "serving_default": (
            lambda challenge, user, user_valid: table.answer(
                challenge, represent("user", user, user_valid), probability
            ),
            [_NAMES, *user],
        ),
        "rank_challenges": (
            lambda user, user_valid: table.rank(
                represent("user", user, user_valid), probability
            ),
            user,
        ),
    }


def _specs(model: DeepChallenger, side: str) -> list[tf.TensorSpec]:
    dim = model.sizes[f"{side}_dim"]
    return [
        tf.TensorSpec((None, None, dim), tf.float32, name=side),
        tf.TensorSpec((None, None), tf.bool, name=f"{side}_valid"),
    ]


def _table(model: DeepChallenger, data: ParticipationPart) -> ChallengeTable:
    videos, valid = data.challenge_table
    layer = model.get_layer(CHALLENGE_REPRESENTATION)
    known = np.asarray(layer(tf.constant(videos), tf.constant(valid)))
    rows = np.concatenate([known, known.mean(axis=0, keepdims=True)])
    return ChallengeTable(data.data.grid.challenges, rows, videos, valid)


def _export_vector_bundle(
    model: DeepChallenger,
    output: Path,
    version: int | None,
    data: ParticipationPart | None,
    serving_target: str | None,
) -> Path:
    if serving_target is not None:
        find_release(serving_target)
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
    table = None if data is None else _table(model, data)
    config = {
        "task": "video_vectors",
        "model": model.get_config(),
        "challenges": [] if table is None else list(table.challenges),
        "serving_target": serving_target,
        "versions": package_versions(),
    }

    def fill(place: Path) -> None:
        tables = [] if table is None else [table.lookup]
        write_saved_model(_endpoints(model, table), tables, place)
        write_json(place / "config.json", config)

    return write_version(output, version, fill)
