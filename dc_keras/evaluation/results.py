"""Makes Tables I and II from saved predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.evaluation.baselines import SIMPLE_BASELINES
from dc_keras.evaluation.metrics import (
    Scores,
    best_threshold,
    bootstrap_average_precision,
    broken_identities,
    macro_scores,
    pair_metrics,
)
from dc_keras.evaluation.tables import (
    BAYES,
    DEEP_CHALLENGER,
    PAPER_TABLE_I,
    PAPER_TABLE_II,
    Cell,
    Table,
    paper_cells,
)

BOOTSTRAP_DRAWS = 1000
BOOTSTRAP_SEED = 0
_PAPER_NOTE = (
    "paper: what the paper prints for its own data, which is not public; `breaks` "
    "names the identities of P, R and F1 that those numbers break. They are not a "
    "target."
)


def table_one(directory: Path, dataset: str) -> Table:
    """Table I: both proxies, every variant, on held-out videos.

    Args:
        directory: of a run, with `proxies/*.parquet`.
        dataset: what the data are, for the title; says "synthetic" where they are.

    Raises:
        DataError: no proxy was judged.
    """
    files = sorted((directory / "proxies").glob("*.parquet"))
    if not files:
        raise DataError(f"no proxies/*.parquet in {directory}; run --split=random_pair")
    folds = [pl.read_parquet(file) for file in files]
    keys = folds[0].select("kind", "variant").unique(maintain_order=True).rows()
    rows = [_proxy_row(kind, variant, folds) for kind, variant in keys]
    notes = (
        f"Mean of {len(files)} shuffled 80/20 divisions of the videos; ± is the "
        "standard deviation over them.",
        "P, R, F1: unweighted means over all classes of the task; a class never "
        "predicted has P = 0. guess: F1 of always naming the most frequent class.",
        _PAPER_NOTE,
    )
    columns = ("proxy", "sees", "classes", "P", "R", "F1", "±", "guess")
    return Table(
        f"Table I. Proxy tasks, {dataset}",
        (*columns, "paper P / R / F1", "breaks"),
        tuple(rows),
        notes,
    )


def _proxy_row(
    kind: str, variant: str, folds: Sequence[pl.DataFrame]
) -> tuple[Cell, ...]:
    scores, guesses, num_classes = [], [], 0
    for fold in folds:
        mine = fold.filter((pl.col("kind") == kind) & (pl.col("variant") == variant))
        labels = mine["label"].to_numpy()
        num_classes = int(mine["num_classes"][0])
        classes = range(num_classes)
        scores.append(macro_scores(labels, mine["predicted"].to_numpy(), classes))
        commonest = np.bincount(labels).argmax()
        guess = macro_scores(labels, np.full(len(labels), commonest), classes)
        guesses.append(guess["macro_f1"])
    mean = {name: float(np.mean([s[name] for s in scores])) for name in scores[0]}
    _refuse_impossible(f"{kind} proxy {variant}", mean, is_binary=False)
    return (
        kind,
        variant,
        str(num_classes),
        mean["macro_precision"],
        mean["macro_recall"],
        mean["macro_f1"],
        float(np.std([s["macro_f1"] for s in scores])),
        float(np.mean(guesses)),
        *paper_cells(PAPER_TABLE_I.get((kind, variant)), is_binary=False),
    )


def table_two(directory: Path, split: str, dataset: str) -> Table:
    """Table II: participation, every model and baseline, on one split.

    Args:
        directory: of a run, with `predictions/*.parquet`.
        split: name of the split.
        dataset: what the data are, for the title.

    Raises:
        DataError: no model was judged on the split.
    """
    folds = _read_folds(directory, split)
    models = folds[0]["model"].unique(maintain_order=True).to_list()
    draws = {model: _bootstrap(folds, model) for model in models}
    rows = [_participation_row(model, folds, draws[model]) for model in models]
    pairs = sum(len(_part(fold, models[0], "test")) for fold in folds)
    prevalence = np.mean([_part(f, models[0], "test")["label"].mean() for f in folds])
    notes = (
        f"{pairs} judged pairs in {len(folds)} folds, prevalence {prevalence:.3f}. "
        "AP: average precision, mean of the folds.",
        f"95 %: percentiles of {BOOTSTRAP_DRAWS} bootstrap draws over users, seed "
        f"{BOOTSTRAP_SEED}.",
        "P, R, F1: unweighted means over {no, yes} at the threshold with the best F1 "
        "on validation pairs; F1@.5: the same at .5.",
        *_comparison_note(models, rows, draws),
        _PAPER_NOTE,
    )
    columns = ("model", "AP", "95 %", "AUC", "P", "R", "F1", "F1@.5")
    return Table(
        f"Table II. Participation, {split}, {dataset}",
        (*columns, "paper P / R / F1", "breaks"),
        tuple(rows),
        notes,
    )


def _read_folds(directory: Path, split: str) -> list[pl.DataFrame]:
    files = sorted((directory / "predictions").glob(f"{split}-*.parquet"))
    if not files:
        raise DataError(f"no predictions/{split}-*.parquet in {directory}")
    folds = [pl.read_parquet(file) for file in files]
    if folds[0].is_empty():
        raise DataError(f"{directory} judged the proxies alone; it has no Table II")
    return folds


def _part(fold: pl.DataFrame, model: str, part: str) -> pl.DataFrame:
    return fold.filter((pl.col("model") == model) & (pl.col("part") == part))


def _bootstrap(folds: Sequence[pl.DataFrame], model: str) -> np.ndarray:
    scores = []
    for fold in folds:
        test = _part(fold, model, "test")
        columns = (test[name].to_numpy() for name in ("label", "score", "user_id"))
        scores.append(Scores(*columns))
    return bootstrap_average_precision(scores, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)


def fold_metrics(folds: Sequence[pl.DataFrame], model: str) -> dict[str, float]:
    """Returns the mean over folds of every metric of `pair_metrics`."""
    values = []
    for fold in folds:
        valid, test = _part(fold, model, "valid"), _part(fold, model, "test")
        threshold = best_threshold(valid["label"].to_numpy(), valid["score"].to_numpy())
        labels, scores = test["label"].to_numpy(), test["score"].to_numpy()
        values.append(pair_metrics(labels, scores, threshold))
        _refuse_impossible(model, values[-1], is_binary=True)
    return {name: float(np.mean([v[name] for v in values])) for name in values[0]}


def _participation_row(
    model: str, folds: Sequence[pl.DataFrame], draws: np.ndarray
) -> tuple[Cell, ...]:
    mean = fold_metrics(folds, model)
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return (
        model,
        mean["average_precision"],
        f"[{low:.3f} {high:.3f}]",
        mean["roc_auc"],
        mean["macro_precision"],
        mean["macro_recall"],
        mean["macro_f1"],
        mean["macro_f1_at_half"],
        *paper_cells(PAPER_TABLE_II.get(model), is_binary=True),
    )


def _comparison_note(
    models: Sequence[str],
    rows: Sequence[tuple[Cell, ...]],
    draws: dict[str, np.ndarray],
) -> tuple[str, ...]:
    """Compares deepChallenger with the strongest simple baseline, paired."""
    simple = [
        (row[1], model)
        for model, row in zip(models, rows, strict=True)
        if model in SIMPLE_BASELINES and isinstance(row[1], float)
    ]
    if not simple or DEEP_CHALLENGER not in models:
        return ()
    best = max(simple)[1]
    difference = draws[DEEP_CHALLENGER] - draws[best]
    low, high = np.nanpercentile(difference, [2.5, 97.5])
    verdict = "beats" if low > 0 else "does not beat"
    note = (
        f"deepChallenger {verdict} the strongest simple baseline ({best}): difference "
        f"in AP, paired over users, 95 % [{low:+.3f} {high:+.3f}]."
    )
    return (note, *_bayes_note(models, rows))


def _bayes_note(
    models: Sequence[str], rows: Sequence[tuple[Cell, ...]]
) -> tuple[str, ...]:
    by_model = {model: row[1] for model, row in zip(models, rows, strict=True)}
    best, ours = by_model.get(BAYES), by_model.get(DEEP_CHALLENGER)
    if not isinstance(best, float) or not isinstance(ours, float):
        return ()
    return (
        f"deepChallenger reaches {ours / best:.2f} of the Bayes-optimal AP, which "
        "knows the probabilities that the labels were drawn from.",
    )


def _refuse_impossible(name: str, row: dict[str, float], is_binary: bool) -> None:
    """Checks a row of ours before it is printed."""
    broken = broken_identities(
        row["macro_precision"], row["macro_recall"], row["macro_f1"], is_binary
    )
    if broken:
        raise RuntimeError(f"the metrics of {name} break {broken}: a bug of ours")
