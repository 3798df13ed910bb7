"""A fitted model on disk: the model, and every choice behind it.

Each directory holds:

    model.keras           the model
    config.json           resolved options, feature fingerprints, package versions
    history.csv           one row an epoch
    tensorboard/          scalars, the configuration, PR curves, the projector
    predictions.parquet   what the model says of its validation rows
    MODEL_CARD.md         for people: see `model_card`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

# Registers the layers that a saved model may contain.
import dc_keras.models.pooling
import dc_keras.models.proxy  # noqa: F401
from dc_keras.corpus.store import write_text
from dc_keras.errors import DataError
from dc_keras.version import __version__

MODEL_FILE = "model.keras"
CONFIG_FILE = "config.json"
_PACKAGES = ("tensorflow", "keras", "tensorflow-text", "tensorflow-hub", "numpy")


def save_model(
    directory: Path, model: keras.Model | None, config: Mapping[str, Any]
) -> None:
    """Writes a model and its configuration, the configuration last.

    Args:
        directory: made where it is missing.
        model: a fitted model; None where all weights lie in other files.
        config: plain values; package versions are added.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if model is not None:
        temporary = directory / f"tmp-{MODEL_FILE}"
        model.save(temporary)
        temporary.replace(directory / MODEL_FILE)
    full = {**config, "versions": package_versions()}
    write_json(directory / CONFIG_FILE, full)


def load_model(directory: Path) -> tuple[keras.Model, dict[str, Any]]:
    """Reads a model directory.

    Raises:
        DataError: it is not one, or training never came to its end.
    """
    config = read_config(directory)
    return keras.models.load_model(directory / MODEL_FILE), config


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the configuration of a model directory; raises as `load_model`."""
    path = directory / CONFIG_FILE
    if not path.exists():
        raise DataError(
            f"{directory} is not a finished model directory: {CONFIG_FILE} is missing; "
            "`python -m pipelines.train` makes one"
        )
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def write_json(path: Path, values: Any) -> None:
    """Writes JSON under a temporary name, then renames."""
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def package_versions() -> dict[str, str]:
    """Returns the versions that results depend on."""
    versions = {name: version(name) for name in _PACKAGES}
    return {"dc_keras": __version__, **versions}
