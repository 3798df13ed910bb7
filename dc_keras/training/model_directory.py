"""Directories of fitted models.

Each directory has:

    model.keras           the model
    config.json           resolved options, feature fingerprints, package versions
    history.csv           training curve, one row per epoch
    tensorboard/          scalars, configuration, PR curves, projector
    predictions.parquet   predictions for the validation rows
    MODEL_CARD.md         the model card, see `model_card`
    SHA256SUMS            checksums of these files
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.version import __version__
from tfrecords.storage.atomic_update import AtomicUpdate, finish_update
from tfrecords.storage.checksums import SUMS_FILE, hash_directory
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading
from tfrecords.storage.resumable import describe_difference

if TYPE_CHECKING:
    import keras

CONFIG_FILE = "config.json"
MODEL_FILE = "model.keras"
# Configuration of an unfinished training.
_STARTED_FILE = ".training.json"
_OTHER_FILES = (
    *(MODEL_FILE, "history.csv", "predictions.parquet", "challenges.npz"),
    *("context.npz", "MODEL_CARD.md"),
)
_DIRECTORIES = ("tensorboard", "backup")
_PACKAGES = ("tensorflow", "keras", "tensorflow-text", "tensorflow-hub", "numpy")


def claim_directory(
    directory: Path, config: Mapping[str, Any], *, overwrite: bool = False
) -> bool:
    """Prepares a new, unfinished or finished model directory for a training.

    Args:
        directory: the model directory.
        config: all resolved settings of the training.
        overwrite: whether to delete the files of a training with other settings.

    Returns:
        Whether this training is already finished.

    Raises:
        DataError: the directory has a training with other settings, not `overwrite`.
    """
    finish_update(directory)
    finished, stopped = directory / CONFIG_FILE, directory / _STARTED_FILE
    kept = next((path for path in (finished, stopped) if path.exists()), None)
    if kept is not None:
        if kept == finished:
            verify_directory(directory, "train")
        with reading(kept, "the configuration of a model of train"):
            stored = dict(json.loads(kept.read_text(encoding="utf-8")))
        other = describe_difference({k: stored.get(k) for k in config}, config)
        if other is None:
            return kept == finished
        if not overwrite:
            raise DataError(
                f"{directory} has a model with other settings; choose another "
                f"--output, or replace it with --overwrite. Received: {other}"
            )
        _clear(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_json(stopped, dict(config))
    return False


def _clear(directory: Path) -> None:
    """Removes a training of other settings, but for the file that names them.

    A process that is killed meanwhile leaves a stopped training of those settings.
    """
    finished = directory / CONFIG_FILE
    if finished.exists():
        finished.replace(directory / _STARTED_FILE)
    for name in _DIRECTORIES:
        shutil.rmtree(directory / name, ignore_errors=True)
    for name in (SUMS_FILE, *_OTHER_FILES):
        (directory / name).unlink(missing_ok=True)


def save_model(
    directory: Path, model: keras.Model | None, config: Mapping[str, Any]
) -> None:
    """Writes a model, its configuration with versions, and checksums of all files.

    The model is None if all weights are in other files, which must exist already.
    """
    full = {**config, "versions": package_versions()}
    with AtomicUpdate(directory) as files:
        if model is not None:
            model.save(files.path(MODEL_FILE))
        write_json(files.path(CONFIG_FILE), full)
        files.remove(_STARTED_FILE)
        files.commit(hash_directory(directory))


def load_model(directory: Path) -> tuple[keras.Model, dict[str, Any]]:
    """Reads the model and the configuration of a model directory.

    Raises:
        DataError: if it is not a model directory, training is not finished, or a file
            is damaged.
    """
    import keras

    # Registers the layers that a saved model may contain.
    import dc_keras.models.deep_challenger
    import dc_keras.models.paper_baselines
    import dc_keras.models.pooling
    import dc_keras.models.proxy  # noqa: F401

    config = read_config(directory)
    with reading(directory, "a model of train"):
        return keras.models.load_model(directory / MODEL_FILE), config


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the configuration of a model directory, without importing TensorFlow.

    Raises:
        DataError: the directory has no finished model, or a file is damaged.
    """
    finish_update(directory)
    path = directory / CONFIG_FILE
    if not path.exists():
        raise DataError(
            f"{directory} is not a finished model directory: {CONFIG_FILE} is missing; "
            "run `python -m pipelines.train`"
        )
    verify_directory(directory, "train")
    with reading(directory, "a model of train"):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def write_json(path: Path, values: Any) -> None:
    """Writes JSON to a temporary file and renames it."""
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def package_versions() -> dict[str, str]:
    """Returns the versions of the packages that results depend on."""
    versions = {name: version(name) for name in _PACKAGES}
    return {"dc_keras": __version__, **versions}
