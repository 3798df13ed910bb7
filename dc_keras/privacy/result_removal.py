"""Removes people and posts from models, evaluations and predictions.

Rows are removed from Parquet files, CSV files of `predict` and TensorBoard's projector,
and with their labels from the manifest of an evaluation. A name whose position has a
meaning, such as a class of the user proxy, is replaced by `u_forgotten`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dc_keras.corpus.forgotten import FORGOTTEN, Forgotten
from dc_keras.corpus.store import write_table, write_text
from dc_keras.errors import DataError
from dc_keras.escaping import format_csv
from dc_keras.study.participation import Grid
from dc_keras.study.split_manifest import Manifest
from tfrecords.storage.atomic_update import AtomicUpdate
from tfrecords.storage.checksums import SUMS_FILE, sums_beside, write_sealed_file
from tfrecords.storage.read_errors import POLARS_ERRORS

_IDS = ("user_id", "video_id")
_LABELS = "_labels.tsv"


def forget_results(
    place: Path, forgotten: Forgotten, *, dry_run: bool = False
) -> Counter[str]:
    """Removes them from a model, an evaluation, or a file; `dry_run` only counts.

    Returns the numbers of removed `rows` and of changed `files`.
    """
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        homes: dict[Path, AtomicUpdate] = {}
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            clean = _find_cleaner(path)
            if clean is None or not path.is_file():
                continue
            changed = _run_cleaner(path, clean, forgotten)
            if changed is None:
                continue
            counts.update(rows=changed.num_rows, files=1)
            if dry_run:
                continue
            if path == place:
                _replace_file(path, changed)
                continue
            home = _find_home(path, place)
            if home not in homes:
                homes[home] = stack.enter_context(AtomicUpdate(home, seals=False))
            for other, write in changed.files.items():
                write(homes[home].path(other.relative_to(home).as_posix()))
        for files in homes.values():
            files.commit()
    return +counts


def _run_cleaner(path: Path, clean: _Cleaner, forgotten: Forgotten) -> _Changed | None:
    try:
        return clean(path, forgotten)
    except (*POLARS_ERRORS, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read; restore or delete it, and run the same command "
            f"again. Received: {str(error).splitlines()[0]}"
        ) from error


def _find_home(path: Path, place: Path) -> Path:
    """Returns the directory with the checksums of a file of an artifact."""
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
    """Replaces the codes of removed posts in a bundle's configuration."""
    content = json.loads((place / "config.json").read_text(encoding="utf-8"))
    kept = _replace_names(content, forgotten)
    if kept == content:
        return Counter()
    if not dry_run:
        with AtomicUpdate(place, seals=False) as files:
            write_text(files.path("config.json"), _format_json(kept))
            files.commit()
    return Counter(files=1)


@dataclass(frozen=True)
class _Changed:
    """The number of removed rows, and a function that writes each changed file."""

    num_rows: int
    files: Mapping[Path, Callable[[Path], object]]


# Returns the changes of a file, or None if there are none.
_Cleaner = Callable[[Path, Forgotten], _Changed | None]


def _find_cleaner(path: Path) -> _Cleaner | None:
    if path.name.endswith(_LABELS):
        return _clean_projector
    return _CLEANERS.get(path.suffix)


def _clean_table(path: Path, forgotten: Forgotten) -> _Changed | None:
    is_csv = path.suffix == ".csv"
    # As text, because a parsed number may be formatted differently.
    table = pl.read_csv(path, infer_schema=False) if is_csv else pl.read_parquet(path)
    kept = _clean(table, forgotten)
    if kept.equals(table):
        return None
    write: Callable[[Path], object] = partial(write_table, table=kept)
    if is_csv:
        write = _make_writer(format_csv(kept))
    return _Changed(table.height - kept.height, {path: write})


def _make_writer(text: str) -> Callable[[Path], object]:
    return lambda place: write_text(place, text)


def _clean(table: pl.DataFrame, forgotten: Forgotten) -> pl.DataFrame:
    """Returns the rows of other people, with removed names replaced in predictions."""
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
    files = {
        place: _make_writer("".join(compress(lines, stays)))
        for place, lines in ((path, labels), (vectors_path, vectors))
    }
    return _Changed(stays.count(False), files)


def _clean_json(path: Path, forgotten: Forgotten) -> _Changed | None:
    content = json.loads(path.read_text(encoding="utf-8"))
    grid = content.get("grid") if isinstance(content, dict) else None
    if isinstance(grid, dict) and "video_users" in grid:
        return _clean_manifest(path, forgotten)
    kept = _replace_names(content, forgotten)
    if kept == content:
        return None
    return _Changed(0, {path: _make_writer(_format_json(kept))})


def _format_json(content: Any) -> str:
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _clean_manifest(path: Path, forgotten: Forgotten) -> _Changed | None:
    """Removes people and posts from the grid of a split, and their pairs from folds."""
    manifest = Manifest.read(path)
    grid = _clean_grid(manifest.grid, forgotten)
    if grid.to_json() == manifest.grid.to_json():
        return None
    kept = set(grid.users)
    is_kept = np.array([user in kept for user in manifest.grid.users], bool)
    stays = is_kept[np.nonzero(manifest.grid.observed)[0]]
    position: np.ndarray = np.cumsum(stays) - 1

    def others(pairs: np.ndarray) -> np.ndarray:
        kept_pairs: np.ndarray = position[pairs[stays[pairs]]]
        return kept_pairs

    folds = {
        name: replace(
            fold,
            train=others(fold.train),
            valid=others(fold.valid),
            test=others(fold.test),
            hidden_users=fold.hidden_users & kept,
        )
        for name, fold in manifest.folds.items()
    }
    text = replace(manifest, grid=grid, folds=folds).to_json()
    return _Changed(int((~is_kept).sum()), {path: _make_writer(text)})


def _clean_grid(grid: Grid, forgotten: Forgotten) -> Grid:
    owners, pool = grid.video_users, grid.pool_users
    users = forgotten.among((*grid.users, *owners.values(), *pool))
    gone = {video_id for video_id, user_id in owners.items() if user_id in users}
    gone.update(forgotten.among(owners))
    gone.update(forgotten.among(v for ids in grid.pool_histories for v in ids))
    rows = [i for i, user_id in enumerate(grid.users) if user_id not in users]
    witnesses = [i for i, user_id in enumerate(pool) if user_id not in users]

    def others(lists: Iterable[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(v for v in ids if v not in gone) for ids in lists)

    return replace(
        grid,
        users=tuple(grid.users[i] for i in rows),
        labels=grid.labels[rows],
        observed=grid.observed[rows],
        histories=others(grid.histories[i] for i in rows),
        user_cutoffs=tuple(grid.user_cutoffs[i] for i in rows if grid.user_cutoffs),
        pool_users=tuple(pool[i] for i in witnesses),
        pool_histories=others(grid.pool_histories[i] for i in witnesses),
        support=others(grid.support),
        video_users={v: u for v, u in owners.items() if v not in gone},
    )


def _clean_text(path: Path, forgotten: Forgotten) -> _Changed | None:
    """Replaces removed names in a page, a table or a card by `u_forgotten`."""
    text = path.read_text(encoding="utf-8")
    kept = forgotten.scrub(text)
    if kept == text:
        return None
    return _Changed(0, {path: _make_writer(kept)})


def _replace_names(value: Any, forgotten: Forgotten) -> Any:
    """Returns a JSON value with removed names replaced by `u_forgotten`."""
    if isinstance(value, dict):
        return {name: _replace_names(inner, forgotten) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replace_names(inner, forgotten) for inner in value]
    is_gone = isinstance(value, str) and forgotten.has(value)
    return FORGOTTEN if is_gone else value


_CLEANERS: dict[str, _Cleaner] = {
    ".parquet": _clean_table,
    ".csv": _clean_table,
    ".json": _clean_json,
    ".html": _clean_text,
    ".md": _clean_text,
    ".tex": _clean_text,
}
