"""Makes Tables I and II from saved predictions."""

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
    bootstrap_average_precision,
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
    folds = [read_fold(file) for file in files]
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


@dataclass(frozen=True)
class Difference:
    """One model's average precision less another's.

    Attributes:
        value: on the judged pairs.
        low: 2.5th percentile of the paired draws.
        high: 97.5th percentile.
    """

    value: float
    low: float
    high: float

    def cells(self) -> tuple[float, str]:
        """The value and the interval as cells of a table."""
        return self.value, f"[{self.low:+.3f} {self.high:+.3f}]"


@dataclass(frozen=True)
class SplitResult:
    """What the predictions of one split are worth.

    Attributes:
        predictions: the folds, their seeds and models.
        metrics: of each model, as `fold_metrics` names them.
        draws: bootstrap draws of each model's average precision, float
            (`BOOTSTRAP_DRAWS`,), paired between models.
        strongest: the simple baseline with the highest average precision; None where
            no simple baseline was judged.
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
        """Mean of the folds' average precisions."""
        return self.metrics[model]["average_precision"]

    def interval(self, model: str) -> tuple[float, float]:
        """95 % of the draws of a model's average precision."""
        return _percentiles(self.draws[model])

    def difference(self, model: str, other: str) -> Difference:
        """How far a model's average precision lies above another's, paired."""
        return Difference(
            self.average_precision(model) - self.average_precision(other),
            *_percentiles(self.draws[model] - self.draws[other]),
        )


def judge_split(directory: Path, split: str) -> SplitResult:
    """Judges every model on one split.

    Args:
        directory: of a run, with `predictions/*.parquet`.
        split: name of the split.

    Raises:
        DataError: as `read_predictions`.
        RuntimeError: a row of metrics that cannot exist; a bug of ours.
    """
    return judge_predictions(read_predictions(directory, split))


def judge_predictions(predictions: SplitPredictions) -> SplitResult:
    """Judges every model on the predictions of one split; see `judge_split`."""
    folds = predictions.folds
    metrics = {model: fold_metrics(folds, model) for model in predictions.models}
    draws = {model: _bootstrap(folds, model) for model in predictions.models}
    simple = [model for model in metrics if model in SIMPLE_BASELINES]
    strongest = max(
        simple, key=lambda model: metrics[model]["average_precision"], default=None
    )
    return SplitResult(predictions, metrics, draws, strongest)


def table_two(directory: Path, split: str, dataset: str) -> Table:
    """Table II of a run: see `participation_table`.

    Args:
        directory: of a run, with `predictions/*.parquet`.
        split: name of the split.
        dataset: what the data are, for the title.

    Raises:
        DataError: no model was judged on the split.
    """
    return participation_table(judge_split(directory, split), dataset)


def participation_table(judgement: SplitResult, dataset: str) -> Table:
    """Table II: participation, every model and baseline, on one split."""
    notes = (
        f"{describe_pairs(judgement.predictions)} AP: average precision, mean of the "
        "folds.",
        f"95 %: percentiles of {BOOTSTRAP_DRAWS} bootstrap draws over users, seed "
        f"{BOOTSTRAP_SEED}.",
        "P, R, F1: unweighted means over {no, yes} at the threshold with the best F1 "
        "on validation pairs; F1@.5: the same at .5.",
        *_comparison_notes(judgement),
        _PAPER_NOTE,
    )
    columns = ("model", "AP", "95 %", "AUC", "P", "R", "F1", "F1@.5")
    return Table(
        f"Table II. Participation, {judgement.predictions.split}, {dataset}",
        (*columns, "Δ AP", "Δ 95 %", "paper P / R / F1", "breaks"),
        tuple(_participation_row(judgement, model) for model in judgement.models),
        notes,
    )


def describe_pairs(predictions: SplitPredictions) -> str:
    """Says how many pairs, folds and seeds a table is made from."""
    tests = [
        answers(fold, predictions.models[0], "test").labels
        for fold in predictions.folds
    ]
    num_seeds = len(set(predictions.seeds))
    seeds = f" of {num_seeds} seeds" if num_seeds > 1 else ""
    left_out = predictions.num_left_out
    rest = f" {left_out} folds of one label are left out." if left_out else ""
    return (
        f"{sum(map(len, tests))} judged pairs in {len(tests)} folds{seeds}, prevalence "
        f"{np.mean([labels.mean() for labels in tests]):.3f}.{rest}"
    )


def _bootstrap(folds: Sequence[pl.DataFrame], model: str) -> np.ndarray:
    tests = [answers(fold, model, "test") for fold in folds]
    return bootstrap_average_precision(tests, BOOTSTRAP_DRAWS, BOOTSTRAP_SEED)


def _percentiles(draws: np.ndarray) -> tuple[float, float]:
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def fold_metrics(folds: Sequence[pl.DataFrame], model: str) -> dict[str, float]:
    """Returns every metric of pairs, at the threshold of each fold's validation pairs.

    Returns:
        Means over folds of every metric of `pair_metrics`; and means over the groups of
        all folds of `group_metrics`, as `user_f1`, `challenge_recall_at_half`, …, NaN
        where no group has both labels.
    """
    values, groups = [], defaultdict(list)
    for fold in folds:
        valid, test = answers(fold, model, "valid"), answers(fold, model, "test")
        threshold = best_threshold(valid.labels, valid.scores)
        values.append(pair_metrics(test.labels, test.scores, threshold))
        _refuse_impossible(model, values[-1], is_binary=True)
        for name, found in _fold_groups(test, threshold).items():
            groups[name].append(found)
    pooled = {name: np.concatenate(found) for name, found in groups.items()}
    return {
        **{name: float(np.mean([v[name] for v in values])) for name in values[0]},
        **{n: float(v.mean()) if len(v) else np.nan for n, v in pooled.items()},
    }


def _fold_groups(test: Answers, threshold: float) -> dict[str, np.ndarray]:
    values = {}
    for kind, group in (("user", test.users), ("challenge", test.challenges)):
        for bar, ending in ((threshold, ""), (0.5, "_at_half")):
            called = (test.scores >= bar).astype(int)
            for name, found in group_metrics(test.labels, called, group).items():
                values[f"{kind}_{name}{ending}"] = found
    return values


def _participation_row(judgement: SplitResult, model: str) -> tuple[Cell, ...]:
    metrics, best = judgement.metrics[model], judgement.strongest
    low, high = judgement.interval(model)
    above: tuple[Cell, Cell] = (None, None)
    if best is not None and best != model:
        above = judgement.difference(model, best).cells()
    return (
        model,
        metrics["average_precision"],
        f"[{low:.3f} {high:.3f}]",
        metrics["roc_auc"],
        metrics["macro_precision"],
        metrics["macro_recall"],
        metrics["macro_f1"],
        metrics["macro_f1_at_half"],
        *above,
        *paper_cells(PAPER_TABLE_II.get(model), is_binary=True),
    )


def _comparison_notes(judgement: SplitResult) -> list[str]:
    """Compares with the strongest simple baseline, and with the known truth."""
    best, notes = judgement.strongest, []
    if best is not None:
        notes.append(
            f"Δ AP: above the strongest simple baseline on these pairs ({best}); its "
            "95 % from the same draws, so paired over users."
        )
    if best is not None and DEEP_CHALLENGER in judgement.models:
        difference = judgement.difference(DEEP_CHALLENGER, best)
        verdict = "beats" if difference.low > 0 else "does not beat"
        notes.append(
            f"deepChallenger {verdict} the strongest simple baseline ({best}): "
            f"difference in AP, paired over users, 95 % {difference.cells()[1]}."
        )
    if {DEEP_CHALLENGER, BAYES} <= set(judgement.models):
        share = judgement.average_precision(
            DEEP_CHALLENGER
        ) / judgement.average_precision(BAYES)
        notes.append(
            f"deepChallenger reaches {share:.2f} of the Bayes-optimal AP, which knows "
            "the probabilities that the labels were drawn from."
        )
    return notes


def _refuse_impossible(name: str, row: Mapping[str, float], is_binary: bool) -> None:
    """Checks a row of ours before it is printed."""
    broken = broken_identities(
        row["macro_precision"], row["macro_recall"], row["macro_f1"], is_binary
    )
    if broken:
        raise RuntimeError(f"the metrics of {name} break {broken}: a bug of ours")
