"""What lies in a directory: each artifact is told by the files that it has."""

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

from tfrecords.storage.checksums import SUMS_FILE, read_sums
from dc_keras.corpus.importing.importer import remove_scratch
from dc_keras.corpus.store import INFO_FILE, VIDEOS_FILE
from dc_keras.errors import DataError
from tfrecords.storage.atomic_update import STAGED, Switch, finish_switch

CONFIG_FILE = "config.json"
# What `predict`, `rank` and `reach` write, by their columns.
_ANSWERS = (
    ["user_id", "challenge", "probability"],
    ["rank", "user_id", "community", "probability"],
    ["user_id", "chance"],
)
_PREPARED_USERS = ["user_id", "bundle_sha256", "corpus_sha256", "prepared"]


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
        unknown: directories that are neither a corpus nor made from one; no more
            is done with them than to look whether they name somebody forgotten.
    """

    artifacts: tuple[Artifact, ...]
    unknown: tuple[Path, ...]

    def of_kind(self, *kinds: str) -> list[Path]:
        """Returns the places of the artifacts of some kinds."""
        return [item.path for item in self.artifacts if item.kind in kinds]


def find_artifacts(directories: Sequence[Path]) -> Found:
    """Returns what some directories are, or hold at any depth.

    Raises:
        DataError: one of them is no directory, or frame or feature records lack their
            manifest.
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
            unknown[directory] = None
        artifacts.update((item.path.resolve(), item) for item in found)
        unknown.update(dict.fromkeys(others))
    return Found(tuple(artifacts.values()), tuple(unknown))


def remove_leftovers(artifact: Artifact) -> None:
    """Removes what a script that was killed left half-written, in it or beside it.

    Whoever calls must keep other writers away from it.
    """
    place = artifact.path
    if artifact.kind == "corpus":
        remove_scratch(place)
    # Found first: what goes may hold more of them.
    inside = [*place.rglob(".*.tmp"), *place.rglob(STAGED)] if place.is_dir() else []
    for path in (*inside, _on_its_way_out(place)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def discard(place: Path) -> None:
    """Removes a file or a directory: what is under its name is whole until it goes."""
    if place.name in (read_sums(place.parent / SUMS_FILE) or {}):
        with Switch(place.parent) as files:
            files.remove(place.name)
            files.commit()
        return
    away = _on_its_way_out(place)
    place.rename(away)
    if away.is_dir():
        shutil.rmtree(away)
    else:
        away.unlink()


def _on_its_way_out(place: Path) -> Path:
    return place.with_name(f".{place.name}.gone.tmp")


def _look(directory: Path) -> tuple[list[Artifact], list[Path]]:
    finish_switch(directory)
    kind = kind_of(directory)
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
        found, others = _look(inner)
        artifacts += found
        unknown += others if found else [inner]
    return artifacts, unknown


def _is_open_directory(path: Path) -> bool:
    # A hidden one is what a writer has not finished.
    return path.is_dir() and not path.name.startswith(".")


def kind_of(directory: Path) -> str | None:
    """Returns the kind of artifact that a directory is, complete or not; None for none.

    See `Artifact`.
    """

    def has(*names: str) -> bool:
        return any((directory / name).exists() for name in names)

    kind = None
    if has(INFO_FILE, VIDEOS_FILE):
        kind = "corpus"
    elif any(directory.glob("*-of-*.tfrecord")):
        is_of_frames = any(directory.glob("frames-*-of-*.tfrecord"))
        kind = "frames" if is_of_frames else "features"
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


def _require_manifest(directory: Path, kind: str) -> None:
    if kind not in ("frames", "features"):
        return
    if read_object(directory / "manifest.json").get("kind") != kind:
        raise DataError(
            f"{directory} has records without a manifest.json: finish them with the "
            "script that makes them, or delete them"
        )


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
