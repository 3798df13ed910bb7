"""Finds the artifacts in directories, by the files that they contain."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.importing.importer import remove_scratch
from dc_keras.corpus.store import INFO_FILE, VIDEOS_FILE
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import STAGED, AtomicUpdate, finish_update
from tfrecords.storage.checksums import SUMS_FILE, read_sums

CONFIG_FILE = "config.json"
# The columns of the tables of `predict`, `rank` and `reach`.
_ANSWERS = (
    ["user_id", "challenge", "probability"],
    ["rank", "user_id", "community", "probability"],
    ["user_id", "chance"],
    ["user_id", "prepared"],  # users that `rank` prepared
)
# A survey may contain a graph.json, the graph as JSON.
_FILES_OF = {
    "corpus": (INFO_FILE, VIDEOS_FILE),
    "model": ("model.keras", "history.csv", "user_proxy", "challenge_proxy"),
    "survey": ("survey.html", "communities.parquet"),
    "graph": ("graph.json",),
    "reach": ("reach.json",),
}
# Names of the configurations of `evaluate`, and of `predict` and `rank`.
_KIND_BY_KEY = {"models": "evaluation", "users_sha256": "predictions"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """An output of one of the scripts.

    Attributes:
        path: the directory, or the file.
        kind: "corpus", "frames", "features", "model", "evaluation", "bundle", "text
            encoder", "graph", "survey" (of a graph), "reach", "predictions" (a file, or
            a directory of shards) or "explanation" (a file).
    """

    path: Path
    kind: str


@dataclass(frozen=True, slots=True)
class FoundArtifacts:
    """The artifacts in directories.

    Attributes:
        artifacts: the artifacts, without repetitions.
        unknown: directories that are no artifact; they are only searched for traces of
            removed people.
    """

    artifacts: tuple[Artifact, ...]
    unknown: tuple[Path, ...]

    def of_kind(self, *kinds: str) -> list[Path]:
        """Returns the paths of the artifacts of given kinds."""
        return [item.path for item in self.artifacts if item.kind in kinds]


def find_artifacts(directories: Sequence[Path]) -> FoundArtifacts:
    """Returns the artifacts in directories, at any depth.

    Raises:
        DataError: a path is no directory, or frame or feature records lack their
            manifest.
    """
    artifacts: dict[Path, Artifact] = {}
    unknown: dict[Path, None] = {}
    for directory in directories:
        if not directory.is_dir():
            raise DataError(
                f"an artifact must be a directory. Received: artifacts={directory}"
            )
        found, others = _search(directory)
        if not found:
            unknown[directory] = None
        artifacts.update((item.path.resolve(), item) for item in found)
        unknown.update(dict.fromkeys(others))
    return FoundArtifacts(tuple(artifacts.values()), tuple(unknown))


def remove_leftovers(place: Path) -> None:
    """Removes incomplete files of a killed script, in an artifact or beside it.

    The caller must lock the place, which may not exist yet, against other writers.
    """
    remove_scratch(place)  # that of an import
    # Listed first, because a removed directory may contain others.
    inside = [*place.rglob(".*.tmp"), *place.rglob(STAGED)] if place.is_dir() else []
    beside = place.with_name(f".{place.name}.tmp")
    for path in (*inside, beside, _removal_path(place)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def discard(place: Path) -> None:
    """Removes a file or a directory atomically, by renaming it first."""
    if place.name in (read_sums(place.parent / SUMS_FILE) or {}):
        with AtomicUpdate(place.parent) as files:
            files.remove(place.name)
            files.commit()
        return
    away = _removal_path(place)
    place.rename(away)
    if away.is_dir():
        shutil.rmtree(away)
    else:
        away.unlink()


def _removal_path(place: Path) -> Path:
    return place.with_name(f".{place.name}.gone.tmp")


def _search(directory: Path) -> tuple[list[Artifact], list[Path]]:
    finish_update(directory)
    kind = find_kind(directory)
    if kind is not None:
        _require_manifest(directory, kind)
        return [Artifact(directory, kind)], []
    artifacts = [Artifact(path, "predictions") for path in _prediction_files(directory)]
    artifacts += [
        Artifact(path, "explanation")
        for path in sorted(directory.glob("explanation.*"))
        if path.suffix in (".json", ".html")
    ]
    unknown = []
    for inner in sorted(filter(_is_open_directory, directory.iterdir())):
        found, others = _search(inner)
        artifacts += found
        unknown += others if found else [inner]
    return artifacts, unknown


def _is_open_directory(path: Path) -> bool:
    # A hidden directory is an unfinished one.
    return path.is_dir() and not path.name.startswith(".")


def find_kind(directory: Path) -> str | None:
    """Returns the kind of artifact of a directory, even if incomplete, or None."""
    for kind, names in _FILES_OF.items():
        if any((directory / name).exists() for name in names):
            return kind
    if any(directory.glob("*-of-*.tfrecord")):
        is_of_frames = any(directory.glob("frames-*-of-*.tfrecord"))
        return "frames" if is_of_frames else "features"
    config = read_object(directory / CONFIG_FILE)
    if (directory / "saved_model.pb").exists():
        return "bundle" if "task" in config else "text encoder"
    return next((kind for name, kind in _KIND_BY_KEY.items() if name in config), None)


def _require_manifest(directory: Path, kind: str) -> None:
    if kind not in ("frames", "features"):
        return
    if read_object(directory / "manifest.json").get("kind") != kind:
        raise DataError(
            f"{directory} has records without a manifest.json: finish them with the "
            "script that makes them, or delete them"
        )


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object of a JSON file, or an empty object if there is none."""
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
            if list(pl.read_parquet_schema(path)) in _ANSWERS:
                yield path
