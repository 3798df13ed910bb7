"""The configuration of a model directory, read without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import finish_update
from tfrecords.storage.integrity import verify_directory
from tfrecords.storage.read_errors import reading

CONFIG_FILE = "config.json"


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the configuration of a model directory.

    Raises:
        DataError: the directory has no finished model, or a file is damaged.
    """
    finish_update(directory)
    path = directory / CONFIG_FILE
    if path.exists():
        verify_directory(directory, "train")
    else:
        raise DataError(
            f"{directory} is not a finished model directory: {CONFIG_FILE} is missing; "
            "run `python -m pipelines.train`"
        )
    with reading(directory, "a model of train"):
        return dict(json.loads(path.read_text(encoding="utf-8")))
