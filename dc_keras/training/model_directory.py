"""A fitted model on disk: the model, and every choice behind it.

Each directory holds:

    model.keras           the model
    config.json           resolved options, feature fingerprints, package versions
    history.csv           one row an epoch
    tensorboard/          scalars, the configuration, PR curves, the projector
    predictions.parquet   what the model says of its validation rows
    MODEL_CARD.md         for people: see `model_card`
    SHA256SUMS            of all of these
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

# Registers the layers that a saved model may contain.
import dc_keras.models.pooling
import dc_keras.models.proxy  # noqa: F401
from tfrecords.storage.checksums import SUMS_FILE, hash_directory
from dc_keras.corpus.store import write_text
from tfrecords.storage.read_errors import reading
from tfrecords.storage.settings_difference import tell_difference
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import Switch, finish_switch
from tfrecords.storage.integrity import verify_directory
from dc_keras.version import __version__

MODEL_FILE = "model.keras"
CONFIG_FILE = "config.json"
# What is trained, until it is.
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
    """Takes a directory for a training, and refuses one that holds another.

    Args:
        directory: a model directory, empty, stopped or finished; need not exist.
        config: every resolved choice that decides what is trained.
        overwrite: whether the files of another training go.

    Returns:
        Whether the very training has come to its end before.

    Raises:
        DataError: it holds a training of other settings.
    """
    finish_switch(directory)
    finished, stopped = directory / CONFIG_FILE, directory / _STARTED_FILE
    kept = next((path for path in (finished, stopped) if path.exists()), None)
    other = None
    if kept is not None:
        if kept == finished:
            verify_directory(directory, "train")
        with reading(kept, "the configuration of a model of train"):
            found = dict(json.loads(kept.read_text(encoding="utf-8")))
        other = tell_difference({k: found.get(k) for k in config}, config)
        if other is None:
            return kept == finished
    if other is not None and not overwrite:
        raise DataError(
            f"{directory} holds a model of other settings; give another --output, or "
            f"replace it with --overwrite. Received: {other}"
        )
    if other is not None:
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
    """Writes a model and its configuration, with checksums of all that is there.

    Args:
        directory: made where it is missing; everything else is in place.
        model: a fitted model; None where all weights lie in other files.
        config: plain values; package versions are added.
    """
    full = {**config, "versions": package_versions()}
    with Switch(directory) as files:
        if model is not None:
            model.save(files.path(MODEL_FILE))
        write_json(files.path(CONFIG_FILE), full)
        files.remove(_STARTED_FILE)
        files.commit(hash_directory(directory))


def load_model(directory: Path) -> tuple[keras.Model, dict[str, Any]]:
    """Reads a model directory.

    Raises:
        DataError: it is not one, training never came to its end, or a file is damaged.
    """
    config = read_config(directory)
    with reading(directory, "a model of train"):
        return keras.models.load_model(directory / MODEL_FILE), config


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the configuration of a model directory; raises as `load_model`."""
    finish_switch(directory)
    path = directory / CONFIG_FILE
    if path.exists():
        verify_directory(directory, "train")
    else:
        raise DataError(
            f"{directory} is not a finished model directory: {CONFIG_FILE} is missing; "
            "`python -m pipelines.train` makes one"
        )
    with reading(directory, "a model of train"):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def write_json(path: Path, values: Any) -> None:
    """Writes JSON under a temporary name, then renames."""
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def package_versions() -> dict[str, str]:
    """Returns the versions that results depend on."""
    versions = {name: version(name) for name in _PACKAGES}
    return {"dc_keras": __version__, **versions}
