"""Tables of one split: all metrics, rankings, variants and results per challenge.

Each takes the result of the split, and a description of the data for its title.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from dc_keras.evaluation.predictions import SplitPredictions, answers
from dc_keras.evaluation.rankings import (
    RankedLists,
    rank_challenges,
    rank_lists,
    rank_users,
)
from dc_keras.evaluation.result_tables import DEEP_CHALLENGER, Cell, Table
from dc_keras.evaluation.results import SplitResult, describe_pairs

# Metrics by column name; decision metrics have a second column at the threshold .5.
_SCORE_COLUMNS = {
    "AP": "average_precision",
    "AUC": "roc_auc",
    "log loss": "log_loss",
    "Brier": "brier",
    "ECE": "calibration_error",
}
_DECISION_COLUMNS = {
    "MCC": "mcc",
    "balanced accuracy": "balanced_accuracy",
    "micro P = R = F1": "micro_f1",
    **{
        f"{label} {letter}": f"{kind}{name}"
        for label, kind in (
            ("yes", ""),
            ("macro", "macro_"),
            ("challenges", "challenge_"),
            ("users", "user_"),
        )
        for letter, name in (("P", "precision"), ("R", "recall"), ("F1", "f1"))
    },
}


def metrics_table(result: SplitResult, dataset: str) -> Table:
    """Returns all pair metrics of all models on one split."""
    columns = {
        **_SCORE_COLUMNS,
        "threshold": "threshold",
        **_DECISION_COLUMNS,
        **{f"{c} @.5": f"{name}_at_half" for c, name in _DECISION_COLUMNS.items()},
    }
    rows = [
        (
            model,
            *(_known(result.metrics[model][name]) for name in columns.values()),
            _seed_spread(result, model),
        )
        for model in result.models
    ]
    notes = (
        f"{describe_pairs(result.predictions)} Each value is the mean of the folds.",
        "AP: average precision; AUC: area under the ROC curve; log loss: natural "
        "logarithm; ECE: expected calibration error over 15 bins of equal size. Higher "
        "is better for AP and AUC, lower for the others.",
        "threshold: the threshold with the best macro F1 on validation pairs, used in "
        "all columns after it; @.5: the same metrics at the threshold .5.",
        "yes: values of the class of joiners. macro: unweighted mean over {no, yes}. "
        "challenges, users: values of the class of joiners in each challenge (user) of "
        "each fold, unweighted mean over those with both labels. micro: over the "
        "decisions of both classes, where P, R and F1 equal the accuracy.",
        "± seeds: standard deviation of AP over seeds.",
    )
    return Table(
        f"All pair metrics, {result.predictions.split}, {dataset}",
        ("model", *columns, "± seeds"),
        tuple(rows),
        notes,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _seed_spread(result: SplitResult, model: str) -> float | None:
    """Returns the standard deviation over seeds of a model's average precision."""
    predictions = result.predictions
    values = defaultdict(list)
    for seed, fold in zip(predictions.seeds, predictions.folds, strict=True):
        test = answers(fold, model, "test")
        values[seed].append(average_precision_score(test.labels, test.scores))
    means = [np.mean(of_seed) for of_seed in values.values()]
    return float(np.std(means)) if len(means) > 1 else None


def rankings_table(result: SplitResult, dataset: str) -> Table:
    """Returns ranking metrics of all models on one split.

    The table covers rankings of challenges for each user and of users for each
    challenge.
    """
    rows, columns, skipped = [], ["model"], ""
    for model in result.models:
        tests = [answers(f, model, "test") for f in result.predictions.folds]
        users = [rank_lists(t.labels, t.scores, t.users) for t in tests]
        challenges = [rank_lists(t.labels, t.scores, t.challenges) for t in tests]
        values = {
            **_means("user", [rank_challenges(lists) for lists in users]),
            **_means("challenge", [rank_users(lists) for lists in challenges]),
        }
        columns = ["model", *values]
        rows.append((model, *values.values()))
        skipped = f"{_count(users)} of users, {_count(challenges)} of challenges."
    notes = (
        describe_pairs(result.predictions),
        "A list has all test pairs of one user (user …: challenges ranked for a user) "
        "or one challenge (challenge …: users ranked for a challenge) in one fold, "
        "without sampling. Each value is the mean of the lists with both labels: "
        + skipped,
        "precision@k: joiners among the first k, over k; recall@k: over all joiners. "
        "NDCG: discount 1/log2(1 + rank). MRR: mean of 1 / rank of the first positive. "
        "lift@p%: precision in the first p % (rounded up) over prevalence in the list. "
        "Ties count with their expected value under random order.",
    )
    return Table(
        f"Rankings, {result.predictions.split}, {dataset}",
        tuple(columns),
        tuple(rows),
        notes,
    )


def _means(
    kind: str, folds: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, float | None]:
    """Returns means over the lists of all folds; None if there is no list."""
    return {
        f"{kind} {name}": _known(_mean(np.concatenate([fold[name] for fold in folds])))
        for name in folds[0]
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _count(folds: Sequence[RankedLists]) -> str:
    """Returns text with the numbers of evaluated and of left out lists."""
    num_skipped = sum(lists.num_skipped for lists in folds)
    return f"{sum(map(len, folds))} lists ({num_skipped} left out)"


def variants_table(result: SplitResult, dataset: str) -> Table | None:
    """Returns the variants of deepChallenger compared with deepChallenger itself.

    Returns:
        One row per variant; None if deepChallenger or its variants were not evaluated.
    """
    variants = [m for m in result.models if m.startswith(DEEP_CHALLENGER)]
    if DEEP_CHALLENGER not in variants or len(variants) < 2:
        return None
    rows: list[tuple[Cell, ...]] = []
    for model in variants:
        above: tuple[Cell, Cell] = (None, None)
        if model != DEEP_CHALLENGER:
            above = result.difference(model, DEEP_CHALLENGER).cells()
        rows.append((model, result.average_precision(model), *above))
    return Table(
        f"Variants of deepChallenger, {result.predictions.split}, {dataset}",
        ("model", "AP", "Δ AP", "Δ 95 %"),
        tuple(rows),
        (
            describe_pairs(result.predictions),
            "Δ AP: difference to the AP of deepChallenger. Δ 95 %: interval of a "
            "bootstrap paired over users.",
        ),
    )


@dataclass(frozen=True)
class ChallengeResult:
    """The result of one model within one challenge.

    Attributes:
        num_pairs: number of test pairs in all folds.
        num_joined: number of these pairs that joined.
        num_folds: number of folds in which these pairs have both labels.
        num_skipped: number of folds in which they have one label.
        precision_over_prevalence: average precision over prevalence, mean of the
            folds with both labels; 1 is chance. None if there is no such fold.
        roc_auc: mean ROC-AUC of these folds. None if there is no such fold.
    """

    num_pairs: int
    num_joined: int
    num_folds: int
    num_skipped: int
    precision_over_prevalence: float | None
    roc_auc: float | None


def challenge_results(
    predictions: SplitPredictions, model: str
) -> dict[str, ChallengeResult]:
    """Returns the results of a model within each challenge, by challenge name."""
    pairs_of = defaultdict(list)
    for fold in predictions.folds:
        names = fold["challenge"].unique()
        test = answers(fold, model, "test")
        for code, name in zip(names.to_physical(), names, strict=True):
            mine = test.challenges == code
            if mine.any():
                pairs_of[name].append((test.labels[mine], test.scores[mine]))
    return {name: _challenge_result(pairs_of[name]) for name in sorted(pairs_of)}


def _challenge_result(
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> ChallengeResult:
    used = [(la, sc) for la, sc in folds if 0 < la.mean() < 1]
    ratios = [average_precision_score(la, sc) / la.mean() for la, sc in used]
    areas = [roc_auc_score(la, sc) for la, sc in used]
    return ChallengeResult(
        num_pairs=sum(len(labels) for labels, _ in folds),
        num_joined=int(sum(labels.sum() for labels, _ in folds)),
        num_folds=len(used),
        num_skipped=len(folds) - len(used),
        precision_over_prevalence=_known(_mean(np.array(ratios))),
        roc_auc=_known(_mean(np.array(areas))),
    )


def challenges_table(result: SplitResult, dataset: str) -> Table | None:
    """Compares deepChallenger with the strongest simple baseline in each challenge.

    Returns:
        One row per challenge, most joiners first; None if one of the two models was
        not evaluated.
    """
    best = result.strongest
    if best is None or DEEP_CHALLENGER not in result.models:
        return None
    ours = challenge_results(result.predictions, DEEP_CHALLENGER)
    theirs = challenge_results(result.predictions, best)
    names = sorted(ours, key=lambda name: (-ours[name].num_joined, name))
    rows = [_challenge_row(name, ours[name], theirs[name]) for name in names]
    num_used = sum(ours[name].num_folds > 0 for name in names)
    num_better = sum((_gap(ours[name], theirs[name]) or 0) > 0 for name in names)
    notes = (
        describe_pairs(result.predictions),
        f"ours: {DEEP_CHALLENGER}; simple: {best}, the strongest simple baseline.",
        "AP / prevalence: average precision over the share that joined; 1 is chance. "
        "It and AUC are means of the folds in which a challenge has both labels. left "
        "out: number of folds in which it has one label.",
        f"{DEEP_CHALLENGER} is better than {best} in {num_better} of {num_used} "
        "challenges with both labels.",
    )
    return Table(
        f"Results by challenge, {result.predictions.split}, {dataset}",
        (
            "challenge",
            "pairs",
            "joined",
            "folds",
            "left out",
            "AP / prevalence, ours",
            "simple",
            "Δ",
            "AUC, ours",
            "AUC, simple",
        ),
        tuple(rows),
        notes,
    )


def _challenge_row(
    name: str, ours: ChallengeResult, theirs: ChallengeResult
) -> tuple[Cell, ...]:
    return (
        name,
        str(ours.num_pairs),
        str(ours.num_joined),
        str(ours.num_folds),
        str(ours.num_skipped),
        ours.precision_over_prevalence,
        theirs.precision_over_prevalence,
        _gap(ours, theirs),
        ours.roc_auc,
        theirs.roc_auc,
    )


def _gap(ours: ChallengeResult, theirs: ChallengeResult) -> float | None:
    a, b = ours.precision_over_prevalence, theirs.precision_over_prevalence
    return None if a is None or b is None else a - b
