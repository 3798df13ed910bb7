"""What lies in a directory: each artifact is told by the files that it has."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.store import INFO_FILE, VIDEOS_FILE
from dc_keras.errors import DataError

CONFIG_FILE = "config.json"
# What `predict`, `rank` and `reach` write, by their columns.
_ANSWERS = (
    ["user_id", "challenge", "probability"],
    ["rank", "user_id", "community", "probability"],
    ["user_id", "chance"],
)
_PREPARED_USERS = ["user_id", "bundle_sha256", "prepared"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something that one of the scripts left behind.

    Attributes:
        path: the directory, or the file.
        kind: "corpus", "frames", "features", "model", "evaluation", "bundle", "text
            encoder", "graph", "survey" (of a graph), "reach", "predictions" or
            "explanation" (of one), the last two files.
    """

    path: Path
    kind: str


@dataclass(frozen=True, slots=True)
class Found:
    """What directories hold.

    Attributes:
        artifacts: each once.
        unknown: directories that are neither a corpus nor made from one.
    """

    artifacts: tuple[Artifact, ...]
    unknown: tuple[Path, ...]

    def of_kind(self, *kinds: str) -> list[Path]:
        """Returns the places of the artifacts of some kinds."""
        return [item.path for item in self.artifacts if item.kind in kinds]


def find_artifacts(directories: Sequence[Path]) -> Found:
    """Returns what some directories are, or hold at any depth.

    Raises:
        DataError: one of them is no directory, or holds nothing of ours; or frame or
            feature records lack their manifest.
    """
    artifacts: dict[Path, Artifact] = {}
    unknown: dict[Path, None] = {}
    for directory in directories:
        if not directory.is_dir():
            raise DataError(
                f"an artifact must be a directory. Received: artifacts={directory}"
            )
        found, others = _look(directory)
        if not found:
            raise DataError(
                "an artifact must be a corpus, frame or feature records, a model, an "
                "evaluation or a bundle, or hold some of these. "
                f"Received: artifacts={directory}"
            )
        artifacts.update((item.path.resolve(), item) for item in found)
        unknown.update(dict.fromkeys(others))
    return Found(tuple(artifacts.values()), tuple(unknown))


def remove_leftovers(place: Path) -> None:
    """Removes what a script that was killed left half-written."""
    for path in place.rglob(".*.tmp"):
        path.unlink()


def _look(directory: Path) -> tuple[list[Artifact], list[Path]]:
    kind = _kind_of(directory)
    if kind is not None:
        return [Artifact(directory, kind)], []
    artifacts = [Artifact(path, "predictions") for path in _prediction_files(directory)]
    artifacts += [
        Artifact(path, "explanation")
        for path in sorted(directory.glob("explanation.*"))
        if path.suffix in (".json", ".html")
    ]
    unknown = []
    for inner in sorted(path for path in directory.iterdir() if path.is_dir()):
        found, others = _look(inner)
        artifacts += found
        unknown += others if found else [inner]
    return artifacts, unknown


def _kind_of(directory: Path) -> str | None:
    def has(*names: str) -> bool:
        return any((directory / name).exists() for name in names)

    kind = None
    if has(INFO_FILE, VIDEOS_FILE):
        kind = "corpus"
    elif any(directory.glob("*-of-*.tfrecord")):
        kind = _kind_of_records(directory)
    elif has("saved_model.pb"):
        is_bundle = "task" in read_object(directory / CONFIG_FILE)
        kind = "bundle" if is_bundle else "text encoder"
    elif has("model.keras", "history.csv", "user_proxy", "challenge_proxy"):
        kind = "model"
    elif "models" in read_object(directory / CONFIG_FILE):
        kind = "evaluation"
    elif has("graph.json"):
        kind = "graph"
    elif has("survey.html", "communities.parquet"):
        kind = "survey"
    elif has("reach.json"):
        kind = "reach"
    return kind


def _kind_of_records(directory: Path) -> str:
    kind = read_object(directory / "manifest.json").get("kind")
    if kind not in ("frames", "features"):
        raise DataError(
            f"{directory} has records without a manifest.json: finish them with the "
            "script that makes them, or delete them"
        )
    return str(kind)


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file, an empty one where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _prediction_files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            if next(csv.reader(file), None) in _ANSWERS:
                yield path
    for path in sorted(directory.glob("*.parquet")):
        with suppress(pl.exceptions.PolarsError):
            if list(pl.read_parquet_schema(path)) == _PREPARED_USERS:
                yield path
