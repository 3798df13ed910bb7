"""Takes the forgotten out of what models and evaluations say of people and posts.

Rows go, in Parquet files, in the CSV files of `predict` and in TensorBoard's projector;
the manifest of an evaluation loses them with their labels. Where a name has a position
that means something, such as a class of the user proxy, `u_forgotten` takes its place.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dc_keras.corpus.forgotten import FORGOTTEN, Forgotten
from dc_keras.corpus.store import write_table, write_text
from dc_keras.errors import DataError
from dc_keras.escaping import format_csv
from tfrecords.storage.atomic_update import AtomicUpdate
from tfrecords.storage.checksums import SUMS_FILE, sums_beside, write_sealed_file
from tfrecords.storage.read_errors import POLARS_ERRORS

_IDS = ("user_id", "video_id")
_LABELS = "_labels.tsv"


def forget_results(
    place: Path, forgotten: Forgotten, *, dry_run: bool = False
) -> Counter[str]:
    """Takes what is forgotten out of every file that names people or posts.

    Args:
        place: a model directory, an evaluation run, or a file of predictions.
        forgotten: the list.
        dry_run: whether to count only.

    Returns:
        How many `rows` are gone and in how many `files` something changed.

    Raises:
        DataError: a file cannot be read.
    """
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        homes: dict[Path, AtomicUpdate] = {}
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            clean = _cleaner_of(path)
            if clean is None or not path.is_file():
                continue
            changed = _cleaned(path, clean, forgotten)
            if changed is None:
                continue
            counts.update(rows=changed.num_rows, files=1)
            if dry_run:
                continue
            if path == place:
                _replace_file(path, changed)
                continue
            home = _home_of(path, place)
            if home not in homes:
                homes[home] = stack.enter_context(AtomicUpdate(home, seals=False))
            for other, write in changed.files.items():
                write(homes[home].path(other.relative_to(home).as_posix()))
        for files in homes.values():
            files.commit()
    return +counts


def _cleaned(path: Path, clean: _Cleaner, forgotten: Forgotten) -> _Changed | None:
    try:
        return clean(path, forgotten)
    except (*POLARS_ERRORS, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read; bring it back or delete it, and run the same "
            f"command again. Received: {str(error).splitlines()[0]}"
        ) from error


def _home_of(path: Path, place: Path) -> Path:
    """Returns the directory whose checksums are about a file of an artifact."""
    inside = path.parents[: path.parents.index(place) + 1]
    return next((home for home in inside if (home / SUMS_FILE).exists()), place)


def _replace_file(path: Path, changed: _Changed) -> None:
    [write] = changed.files.values()
    if sums_beside(path).exists():
        write_sealed_file(path, write)
    elif (path.parent / SUMS_FILE).exists():
        with AtomicUpdate(path.parent, seals=False) as files:
            write(files.path(path.name))
            files.commit()
    else:
        write(path)


def forget_bundle(
    place: Path, forgotten: Forgotten, *, dry_run: bool = False
) -> Counter[str]:
    """Takes the codes of forgotten posts out of a bundle's configuration.

    Args:
        place: the directory of a version.
        forgotten: the list.
        dry_run: whether to count only.

    Returns:
        In how many `files` something changed.
    """
    content = json.loads((place / "config.json").read_text(encoding="utf-8"))
    kept = _renamed(content, forgotten)
    if kept == content:
        return Counter()
    if not dry_run:
        with AtomicUpdate(place, seals=False) as files:
            write_text(files.path("config.json"), _for_people(kept))
            files.commit()
    return Counter(files=1)


@dataclass(frozen=True)
class _Changed:
    """What becomes of a file.

    Attributes:
        num_rows: rows that are gone.
        files: what writes each file that changes, whole or not at all, by its path.
    """

    num_rows: int
    files: Mapping[Path, Callable[[Path], object]]


# Returns what becomes of a file, None where it is as it was.
_Cleaner = Callable[[Path, Forgotten], _Changed | None]


def _cleaner_of(path: Path) -> _Cleaner | None:
    if path.name.endswith(_LABELS):
        return _clean_projector
    return _CLEANERS.get(path.suffix)


def _clean_table(path: Path, forgotten: Forgotten) -> _Changed | None:
    table = pl.read_parquet(path)
    kept = _clean(table, forgotten)
    if kept.equals(table):
        return None
    return _Changed(
        table.height - kept.height, {path: lambda place: write_table(place, kept)}
    )


def _clean_csv(path: Path, forgotten: Forgotten) -> _Changed | None:
    # As text: a number that is read and written again may look different.
    table = pl.read_csv(path, infer_schema=False)
    kept = _clean(table, forgotten)
    if kept.equals(table):
        return None
    return _Changed(table.height - kept.height, {path: _writer_of(format_csv(kept))})


def _writer_of(text: str) -> Callable[[Path], object]:
    return lambda place: write_text(place, text)


def _clean(table: pl.DataFrame, forgotten: Forgotten) -> pl.DataFrame:
    """Returns the rows about others, in which the forgotten are no longer predicted."""
    texts = [n for n, dtype in table.schema.items() if dtype == pl.String]
    table = forgotten.drop_rows(table, [name for name in texts if name in _IDS])
    for name in texts:
        gone = forgotten.among(table[name].unique())
        if gone:
            table = table.with_columns(pl.col(name).replace(gone, FORGOTTEN))
    return table


def _clean_projector(path: Path, forgotten: Forgotten) -> _Changed | None:
    labels = path.read_text(encoding="utf-8").splitlines(keepends=True)
    stays = [not forgotten.has(label.strip()) for label in labels]
    if all(stays):
        return None
    vectors_path = path.with_name(path.name.removesuffix(_LABELS) + ".tsv")
    vectors = vectors_path.read_text(encoding="utf-8").splitlines(keepends=True)
    files = {path: _writer_of(_those(labels, stays))}
    # Fewer vectors than labels: an older version was stopped between the two.
    if len(vectors) == len(labels):
        files[vectors_path] = _writer_of(_those(vectors, stays))
    return _Changed(stays.count(False), files)


def _those(lines: list[str], stays: list[bool]) -> str:
    return "".join(line for line, stay in zip(lines, stays, strict=True) if stay)


def _clean_json(path: Path, forgotten: Forgotten) -> _Changed | None:
    content = json.loads(path.read_text(encoding="utf-8"))
    grid = content.get("grid") if isinstance(content, dict) else None
    is_manifest = isinstance(grid, dict) and "video_users" in grid
    kept = (_without_in_folds if is_manifest else _renamed)(content, forgotten)
    if kept == content:
        return None
    # A manifest is one line; everything else is for people to read.
    text = _one_line(kept) if is_manifest else _for_people(kept)
    num_rows = 0
    if is_manifest:
        num_rows = len(content["grid"]["users"]) - len(kept["grid"]["users"])
    return _Changed(num_rows, {path: _writer_of(text)})


def _for_people(content: Any) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _one_line(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"


def _without_in_folds(manifest: dict[str, Any], forgotten: Forgotten) -> dict[str, Any]:
    """Returns the manifest of a split without forgotten people and posts.

    Their pairs lose their letters in every fold, and the digest is that of what is
    left.
    """
    grid = _without(manifest["grid"], forgotten)
    if grid == manifest["grid"]:
        return manifest
    users = manifest["grid"]["users"]
    stays = [
        user in set(grid["users"])
        for user, labels in zip(users, manifest["grid"]["labels"], strict=True)
        for label in labels
        if label is not None
    ]
    folds = {
        name: fold
        | {
            "parts": "".join(
                letter
                for letter, stay in zip(fold["parts"], stays, strict=True)
                if stay
            ),
            "hidden_users": [u for u in fold["hidden_users"] if u in grid["users"]],
        }
        for name, fold in manifest["folds"].items()
    }
    kept = {**manifest, "grid": grid, "folds": folds}
    del kept["sha256"]
    content = _one_line(kept).rstrip("\n")
    return kept | {"sha256": hashlib.sha256(content.encode("utf-8")).hexdigest()}


def _without(manifest: dict[str, Any], forgotten: Forgotten) -> dict[str, Any]:
    """Returns a grid without forgotten people and posts."""
    owners = manifest["video_users"]
    pool = manifest["pool_users"]
    users = forgotten.among((*manifest["users"], *owners.values(), *pool))
    gone = {video_id for video_id, user_id in owners.items() if user_id in users}
    gone.update(forgotten.among(owners))
    gone.update(forgotten.among(v for ids in manifest["pool_histories"] for v in ids))
    witnesses = [i for i, user_id in enumerate(pool) if user_id not in users]
    rows = [i for i, user_id in enumerate(manifest["users"]) if user_id not in users]

    def others(lists: list[list[str]]) -> list[list[str]]:
        return [[v for v in ids if v not in gone] for ids in lists]

    return manifest | {
        "users": [manifest["users"][i] for i in rows],
        "labels": [manifest["labels"][i] for i in rows],
        "histories": others([manifest["histories"][i] for i in rows]),
        "user_cutoffs": [manifest["user_cutoffs"][i] for i in rows]
        if manifest["user_cutoffs"]
        else [],
        "pool_users": [pool[i] for i in witnesses],
        "pool_histories": others([manifest["pool_histories"][i] for i in witnesses]),
        "support": others(manifest["support"]),
        "video_users": {v: u for v, u in owners.items() if v not in gone},
    }


def _clean_text(path: Path, forgotten: Forgotten) -> _Changed | None:
    """A page, a table or a card that names them names `u_forgotten` instead."""
    text = path.read_text(encoding="utf-8")
    kept = forgotten.scrub(text)
    if kept == text:
        return None
    return _Changed(0, {path: _writer_of(kept)})


def _renamed(value: Any, forgotten: Forgotten) -> Any:
    """Returns the same value with `u_forgotten` in place of the forgotten."""
    if isinstance(value, dict):
        return {name: _renamed(inner, forgotten) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, forgotten) for inner in value]
    is_gone = isinstance(value, str) and forgotten.has(value)
    return FORGOTTEN if is_gone else value


_CLEANERS: dict[str, _Cleaner] = {
    ".parquet": _clean_table,
    ".csv": _clean_csv,
    ".json": _clean_json,
    ".html": _clean_text,
    ".md": _clean_text,
    ".tex": _clean_text,
}
