"""The configuration of a bundle, read without TensorFlow."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dc_keras.errors import DataError
from tfrecords.storage.checksums import SUMS_FILE
from tfrecords.storage.read_errors import reading


def find_version(place: Path) -> Path:
    """Returns the directory of the highest version of a bundle.

    Args:
        place: directory of a version, which is returned, or of all versions.

    Raises:
        DataError: there is no bundle.
    """
    if (place / "saved_model.pb").exists():
        return place
    numbers = [p for p in place.glob("*") if p.name.isdigit()]
    if not numbers:
        raise DataError(
            f"{place} must contain saved_model.pb or a numbered version; create one "
            "with `python -m pipelines.export_model`"
        )
    return max(numbers, key=lambda p: int(p.name))


def read_config(place: Path) -> dict[str, Any]:
    """Returns the settings of a version of a bundle.

    Raises:
        DataError: the directory is no bundle, or its settings are damaged.
    """
    if not (place / "config.json").exists():
        raise DataError(
            f"{place} must be a bundle of export_model, but config.json is missing"
        )
    with reading(place / "config.json", "a bundle of export_model"):
        config: dict[str, Any] = json.loads((place / "config.json").read_text("utf-8"))
    return config


def find_sha256(place: Path) -> str:
    """Returns the hexadecimal SHA-256 of the checksums of a version of a bundle."""
    return hashlib.sha256((place / SUMS_FILE).read_bytes()).hexdigest()


def require_challenges(known: Sequence[str], names: Sequence[str]) -> None:
    """Checks that a bundle, which knows some challenges, contains the requested ones.

    Raises:
        DataError: the bundle lacks one; the message names the nearest name.
        TypeError: the names are a single text.
    """
    if isinstance(names, str):
        raise TypeError(f"`challenges` must be a list of names. Received: {names!r}")
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    near = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"the bundle knows the challenges {', '.join(known)}. "
        f"Received: challenge={unknown[0]!r}.{hint}"
    )


def require_challenge_posts(config: Mapping[str, Any]) -> None:
    """Checks that a bundle with this configuration can learn a new challenge.

    Raises:
        DataError: the bundle has a baseline of the paper, which reads no posts of
            challenges.
    """
    if config.get("baseline") is not None:
        raise DataError(
            "a new challenge needs a model that reads posts of challenges; a baseline "
            "of the paper has one output for each challenge of its training. Received: "
            f"baseline={config.get('baseline')}"
        )
