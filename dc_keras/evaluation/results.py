"""Computes results and Tables I and II from saved predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.evaluation.metrics import (
    best_threshold,
    group_metrics,
    macro_scores,
    pair_metrics,
)
from dc_keras.evaluation.predictions import (
    Answers,
    SplitPredictions,
    answers,
    read_fold,
    read_predictions,
)
from dc_keras.evaluation.result_tables import (
    BAYES,
    DEEP_CHALLENGER,
    PAPER_TABLE_I,
    PAPER_TABLE_II,
    Cell,
    Table,
    paper_cells,
)
from dc_keras.evaluation.simple_baselines import SIMPLE_BASELINES
from dc_keras.study.audit.feasibility import broken_identities
from dc_keras.training.average_precision import (
    BOOTSTRAP_DRAWS,
    BOOTSTRAP_SEED,
    bootstrap_average_precision,
)

_PAPER_NOTE = (
    "paper: values printed in the paper for its own data, which are not public; "
    "`breaks` names the identities of P, R and F1 that they violate. They are not a "
    "target."
)


def table_one(directory: Path, dataset: str) -> Table:
    """Returns Table I: all variants of both proxies on held-out videos.

    Args:
        directory: directory of a run, with `proxies/*.parquet`.
        dataset: description of the data, for the title.

    Raises:
        DataError: if no proxy was evaluated.
    """
    files = sorted((directory / "proxies").glob("*.parquet"))
    if not files:
        raise DataError(f"no proxies/*.parquet in {directory}; run --split=random_pair")
    named = ("kind", "variant", "label", "predicted", "num_classes")
    folds = [read_fold(file, named) for file in files]
    keys = folds[0].select("kind", "variant").unique(maintain_order=True).rows()
    rows = [_proxy_row(kind, variant, folds) for kind, variant in keys]
    notes = (
        f"Mean of {len(files)} random 80/20 divisions of the videos; ± is the "
        "standard deviation over them.",
        "P, R, F1: unweighted means over all classes of the task; P is 0 for a class "
        "that is never predicted. guess: F1 of always predicting the most frequent "
        "class.",
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
        mode = np.bincount(labels).argmax()
        guess = macro_scores(labels, np.full(len(labels), mode), classes)
        guesses.append(guess["macro_f1"])
    mean = {name: float(np.mean([s[name] for s in scores])) for name in scores[0]}
    _require_possible(f"{kind} proxy {variant}", mean, is_binary=False)
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


@dataclass(frozen=True)
class Difference:
    """The difference between the average precisions of two models.

    Attributes:
        value: the difference on the test pairs.
        low: 2.5th percentile of the paired bootstrap draws.
        high: 97.5th percentile of the paired bootstrap draws.
    """

    value: float
    low: float
    high: float

    def cells(self) -> tuple[float, str]:
        """Returns the value and the interval as cells of a table."""
        return self.value, f"[{self.low:+.3f} {self.high:+.3f}]"


@dataclass(frozen=True)
class SplitResult:
    """The results of all models on one split.

    Attributes:
        predictions: the folds, their seeds and models.
        metrics: the `fold_metrics` of each model.
        draws: bootstrap draws of each model's average precision, float
            (`BOOTSTRAP_DRAWS`,), paired between models.
        strongest: the simple baseline with the highest average precision; None if no
            simple baseline was evaluated.
    """

    predictions: SplitPredictions
    metrics: Mapping[str, Mapping[str, float]]
    draws: Mapping[str, np.ndarray]
    strongest: str | None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of the files."""
        return self.predictions.models

    def average_precision(self, model: str) -> float:
        """Returns the mean average precision of the folds."""
        return self.metrics[model]["average_precision"]

    def interval(self, model: str) -> tuple[float, float]:
        """Returns the 95 % bootstrap interval of a model's average precision."""
        return _percentiles(self.draws[model])

    def interval_cell(self, model: str) -> str:
        """Returns `interval` as the cell of a table."""
        low, high = self.interval(model)
        return f"[{low:.3f} {high:.3f}]"

    def strongest_cells(self, model: str) -> tuple[Cell, Cell]:
        """Returns the difference to the strongest simple baseline and its interval.

        Both cells are empty for that baseline, or if no simple baseline was evaluated.
        """
        if self.strongest in (None, model):
            return None, None
        return self.difference(model, str(self.strongest)).cells()

    def difference(self, model: str, other: str) -> Difference:
        """Returns a model's average precision minus that of another, paired."""
        return Difference(
            self.average_precision(model) - self.average_precision(other),
            *_percentiles(self.draws[model] - self.draws[other]),
        )


def judge_split(directory: Path, split: str) -> SplitResult:
    """Returns the results of all models on one split of a run.

    Raises:
        DataError: if `read_predictions` fails.
        RuntimeError: if metrics are arithmetically impossible, which would be a bug.
    """
    return judge_predictions(read_predictions(directory, split))


def judge_predictions(predictions: SplitPredictions) -> SplitResult:
    """Returns the results of all models for the predictions of one split.

    Raises:
        RuntimeError: if metrics are arithmetically impossible, which would be a bug.
    """
    folds = predictions.folds
    metrics = {model: fold_metrics(folds, model) for model in predictions.models}
    draws = {model: _bootstrap(folds, model) for model in predictions.models}
    simple = [model for model in metrics if model in SIMPLE_BASELINES]
    strongest = max(
        simple, key=lambda model: metrics[model]["average_precision"], default=None
    )
    return SplitResult(predictions, metrics, draws, strongest)


def participation_table(result: SplitResult, dataset: str) -> Table:
    """Returns Table II: participation, all models and baselines on one split."""
    notes = (
        f"{describe_pairs(result.predictions)} AP: average precision, mean of the "
        "folds.",
        f"95 %: percentiles of {BOOTSTRAP_DRAWS} bootstrap draws over users, seed "
        f"{BOOTSTRAP_SEED}.",
        "P, R, F1: unweighted means over {no, yes} at the threshold with the best F1 "
        "on validation pairs; F1@.5: the same at .5.",
        *_comparison_notes(result),
        _PAPER_NOTE,
    )
    columns = ("model", "AP", "95 %", "AUC", "P", "R", "F1", "F1@.5")
    return Table(
        f"Table II. Participation, {result.predictions.split}, {dataset}",
        (*columns, "Δ AP", "Δ 95 %", "paper P / R / F1", "breaks"),
        tuple(_participation_row(result, model) for model in result.models),
        notes,
    )


def describe_pairs(predictions: SplitPredictions) -> str:
    """Returns text with the numbers of pairs, folds and seeds, and the prevalence."""
    tests = [
        answers(fold, predictions.models[0], "test").labels
        for fold in predictions.folds
    ]
    num_seeds = len(set(predictions.seeds))
    seeds = f" of {num_seeds} seeds" if num_seeds > 1 else ""
    left_out = predictions.num_left_out
    rest = f" {left_out} folds with one label are left out." if left_out else ""
    return (
        f"{sum(map(len, tests))} test pairs in {len(tests)} folds{seeds}, prevalence "
        f"{np.mean([labels.mean() for labels in tests]):.3f}.{rest}"
    )


def _bootstrap(folds: Sequence[pl.DataFrame], model: str) -> np.ndarray:
    tests = [answers(fold, model, "test") for fold in folds]
    return bootstrap_average_precision(tests, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)


def _percentiles(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def fold_metrics(folds: Sequence[pl.DataFrame], model: str) -> dict[str, float]:
    """Returns all pair metrics of a model, with thresholds chosen on validation pairs.

    Args:
        folds: tables of `SplitPredictions`.
        model: name of the model.

    Returns:
        Means over folds of the `pair_metrics`, and means over the groups of all folds
        of the `group_metrics`, under names such as `user_f1` and
        `challenge_recall_at_half`; NaN if no group has both labels.
    """
    values, groups = [], defaultdict(list)
    for fold in folds:
        valid, test = answers(fold, model, "valid"), answers(fold, model, "test")
        threshold = best_threshold(valid.labels, valid.scores)
        values.append(pair_metrics(test.labels, test.scores, threshold))
        _require_possible(model, values[-1], is_binary=True)
        for name, in_fold in _fold_groups(test, threshold).items():
            groups[name].append(in_fold)
    pooled = {name: np.concatenate(in_folds) for name, in_folds in groups.items()}
    return {
        **{name: float(np.mean([v[name] for v in values])) for name in values[0]},
        **{n: float(v.mean()) if len(v) else np.nan for n, v in pooled.items()},
    }


def _fold_groups(test: Answers, threshold: float) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for kind, group in (("user", test.users), ("challenge", test.challenges)):
        for cut, ending in ((threshold, ""), (0.5, "_at_half")):
            predicted = (test.scores >= cut).astype(int)
            metrics = group_metrics(test.labels, predicted, group)
            values |= {f"{kind}_{name}{ending}": v for name, v in metrics.items()}
    return values


def _participation_row(result: SplitResult, model: str) -> tuple[Cell, ...]:
    metrics = result.metrics[model]
    return (
        model,
        metrics["average_precision"],
        result.interval_cell(model),
        metrics["roc_auc"],
        metrics["macro_precision"],
        metrics["macro_recall"],
        metrics["macro_f1"],
        metrics["macro_f1_at_half"],
        *result.strongest_cells(model),
        *paper_cells(PAPER_TABLE_II.get(model), is_binary=True),
    )


def _comparison_notes(result: SplitResult) -> list[str]:
    """Returns comparisons with the strongest simple baseline and the known truth."""
    best, notes = result.strongest, []
    if best is not None:
        notes.append(
            f"Δ AP: difference to the strongest simple baseline on these pairs "
            f"({best}). Δ 95 %: interval of the same draws, paired over users."
        )
    if best is not None and DEEP_CHALLENGER in result.models:
        difference = result.difference(DEEP_CHALLENGER, best)
        verdict = "beats" if difference.low > 0 else "does not beat"
        notes.append(
            f"deepChallenger {verdict} the strongest simple baseline ({best}): "
            f"difference in AP, paired over users, 95 % {difference.cells()[1]}."
        )
    if {DEEP_CHALLENGER, BAYES} <= set(result.models):
        optimum = result.average_precision(BAYES)
        share = result.average_precision(DEEP_CHALLENGER) / optimum
        notes.append(
            f"deepChallenger reaches {share:.2f} of the Bayes-optimal AP, that of the "
            "probabilities from which the labels were drawn."
        )
    return notes


def _require_possible(name: str, row: Mapping[str, float], is_binary: bool) -> None:
    """Raises an error if a row of metrics is arithmetically impossible."""
    broken = broken_identities(
        row["macro_precision"], row["macro_recall"], row["macro_f1"], is_binary
    )
    if broken:
        raise RuntimeError(f"the metrics of {name} violate {broken}; this is a bug")
