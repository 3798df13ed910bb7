"""Reads the saved predictions of a run and checks that models are comparable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid
from dc_keras.training.average_precision import Scores
from tfrecords.storage.read_errors import reading

FOLDER = "predictions"
_FOLD_NAME = re.compile(r"(\w+)-seed(\d+)-fold(\d+)")
SCHEMA = {
    "model": pl.String,
    "part": pl.String,
    "user_id": pl.String,
    "challenge": pl.String,
    "label": pl.Int32,
    "score": pl.Float64,
}
_PAIR = ("part", "user_id", "challenge", "label")


@dataclass(frozen=True)
class SplitPredictions:
    """The predictions of all models for one split.

    Attributes:
        split: name of the split.
        folds: one table per fold, ordered by seed and fold number, with the columns
            `model`, `part` ("valid" or "test"), `user_id`, `challenge`, `label` and
            `score`. All folds have the same models, and within a fold all models have
            the same pairs in the same order.
        seeds: seed number of each fold.
        models: names of the models, in the order of the files.
        num_left_out: number of folds left out because their test pairs have one label.
    """

    split: str
    folds: tuple[pl.DataFrame, ...]
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    num_left_out: int


@dataclass(frozen=True)
class Answers(Scores):
    """The predictions of one model for one part of a fold.

    Attributes:
        challenges: (num_pairs,), challenge of each pair.
    """

    challenges: np.ndarray


def list_splits(directory: Path) -> list[str]:
    """Returns the splits for which a run has predictions, sorted."""
    files = (directory / FOLDER).glob("*.parquet")
    matches = (_FOLD_NAME.fullmatch(file.stem) for file in files)
    return sorted({match[1] for match in matches if match})


def read_predictions(directory: Path, split: str) -> SplitPredictions:
    """Reads the predictions of all folds of a split of a run.

    Raises:
        DataError: if there are no folds or no models, the folds have different models,
            the models have different pairs, a score is not in [0, 1], or no fold has
            test pairs of both labels.
    """
    files = {}
    for file in (directory / FOLDER).glob(f"{split}-*.parquet"):
        if match := _FOLD_NAME.fullmatch(file.stem):
            files[int(match[2]), int(match[3])] = file
    if not files:
        raise DataError(f"no {FOLDER}/{split}-*.parquet in {directory}")
    paths = [files[key] for key in sorted(files)]
    folds = with_categories([read_fold(path, SCHEMA) for path in paths])
    if folds[0].is_empty():
        raise DataError(f"{directory} has predictions of proxies only, no Table II")
    models = folds[0]["model"].unique(maintain_order=True).to_list()
    for path, fold in zip(paths, folds, strict=True):
        _check(path, fold, models)
    seeds = [seed for seed, _ in sorted(files)]
    kept = [number for number, fold in enumerate(folds) if _has_both_labels(fold)]
    if not kept:
        raise DataError(
            f"{directory} must have a fold of {split} with test pairs that joined and "
            f"pairs that did not. Received: {len(folds)} folds with one label"
        )
    return SplitPredictions(
        split=split,
        folds=tuple(folds[number] for number in kept),
        seeds=tuple(seeds[number] for number in kept),
        models=tuple(map(str, models)),
        num_left_out=len(folds) - len(kept),
    )


def answers(fold: pl.DataFrame, model: str, part: str) -> Answers:
    """Returns the predictions of a model for one part, "valid" or "test", of a fold."""
    rows = fold.filter((pl.col("model") == model) & (pl.col("part") == part))
    columns = ("label", "score", "user_id", "challenge")
    return Answers(*(rows[name].to_physical().to_numpy() for name in columns))


def prediction_rows(
    grid: Grid,
    pairs: Pairs,
    rows: np.ndarray,
    model: str,
    part: str,
    scores: np.ndarray,
) -> pl.DataFrame:
    """Returns the predictions of a model for pairs as a table.

    Args:
        grid: the grid of the pairs.
        pairs: all pairs.
        rows: positions of the predicted pairs, int (num_rows,).
        model: name of the model.
        part: "valid" or "test".
        scores: probabilities, float (num_rows,).
    """
    return pl.DataFrame(
        {
            "model": [model] * len(rows),
            "part": [part] * len(rows),
            "user_id": [grid.users[u] for u in pairs.user[rows]],
            "challenge": [grid.challenges[c] for c in pairs.challenge[rows]],
            "label": pairs.label[rows],
            "score": np.asarray(scores, np.float64),
        },
        schema=SCHEMA,
    )


def read_fold(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """Reads some columns of the table of a fold.

    Raises:
        DataError: if the file is damaged, or lacks a column or a value.
    """
    with reading(path, "a table of evaluate"):
        table = pl.read_parquet(path).select(*columns)
    for column in table:
        if column.null_count() > 0:
            raise DataError(
                f"{path}: a table of evaluate must have all values. Received: a "
                f"missing {column.name}"
            )
    return table


def with_categories(folds: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Converts text columns to the same enums in all folds, for fast comparisons."""
    casts = []
    for name in ("model", "part", "user_id", "challenge"):
        texts = pl.concat([fold[name].unique() for fold in folds])
        casts.append(pl.col(name).cast(pl.Enum(texts.unique().sort())))
    return [fold.with_columns(casts) for fold in folds]


def _check(path: Path, fold: pl.DataFrame, models: Sequence[str]) -> None:
    names = fold["model"].unique(maintain_order=True).to_list()
    if names != models:
        raise DataError(
            f"{path}: every fold must have the same models, in the same order as the "
            f"first fold. Received: {', '.join(names)}"
        )
    outside = fold.filter(~pl.col("score").is_between(0, 1))
    if not outside.is_empty():
        raise DataError(
            f"{path}: a score must be a probability in [0, 1]. Received: "
            f"{outside['score'][0]} by {outside['model'][0]}"
        )
    parts = fold.partition_by("model", maintain_order=True)
    for part in parts[1:]:
        if not part.select(_PAIR).equals(parts[0].select(_PAIR)):
            raise DataError(
                f"{path}: every model must have the same pairs in the same order. "
                f"Received: other pairs for {part['model'][0]}"
            )


def _has_both_labels(fold: pl.DataFrame) -> bool:
    return fold.filter(pl.col("part") == "test")["label"].n_unique() == 2
