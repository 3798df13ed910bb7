"""Exports any participation model of this package as a SavedModel for tf-serving."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from dc_keras.errors import require_type
from dc_keras.models.deep_challenger import DeepChallenger
from dc_keras.serving.bundle import export_bundle
from dc_keras.serving.vector_bundle import export_vector_bundle
from dc_keras.training.participation_part import ParticipationPart
from dc_keras.training.saved_participation import SavedParticipation
from dc_keras.training.trained_participation import TrainedParticipation


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
    raw captions and frames: see docs/serving.md. A `DeepChallenger`
    becomes a bundle that takes video vectors: see `dc_keras.serving.vector_bundle`.

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
        DataError: the version exists, the target lacks an op, or the encoders that made
            the features are unknown, as for features from arrays.
        TypeError: another kind of model or of data.
    """
    if data is not None:
        require_type("data", data, ParticipationPart)
    output = Path(directory)
    if isinstance(model, DeepChallenger):
        return export_vector_bundle(
            model, output, version, data=data, serving_target=serving_target
        )
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
