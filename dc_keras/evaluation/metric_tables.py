"""Tables of every metric, of rankings, and of single challenges, of one split."""

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
from dc_keras.evaluation.results import Judgement, describe_pairs
from dc_keras.evaluation.result_tables import DEEP_CHALLENGER, Cell, Table

# Metrics by the name of their column; those of decisions stand at both thresholds.
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


def metrics_table(judgement: Judgement, dataset: str) -> Table:
    """Every metric of pairs under its own name, every model, on one split."""
    columns = {
        **_SCORE_COLUMNS,
        "threshold": "threshold",
        **_DECISION_COLUMNS,
        **{f"{c} @.5": f"{name}_at_half" for c, name in _DECISION_COLUMNS.items()},
    }
    rows = [
        (
            model,
            *(_known(judgement.metrics[model][name]) for name in columns.values()),
            _seed_spread(judgement, model),
        )
        for model in judgement.models
    ]
    notes = (
        f"{describe_pairs(judgement.predictions)} Each value is the mean of the folds.",
        "AP: average precision; AUC: area under ROC; log loss: natural; ECE: expected "
        "calibration error over 15 bins of equal mass. In these, high is good for AP "
        "and AUC, low for the others.",
        "threshold: that with the best macro F1 on validation pairs, where all columns "
        "after it stand; @.5: the same metrics at .5.",
        "yes: of the class of joiners. macro: unweighted mean over {no, yes}. "
        "challenges, users: of the class of joiners in each challenge (user) of each "
        "fold, unweighted mean over those with both labels. micro: both classes' "
        "decisions together, where P, R and F1 are the accuracy.",
        "± seeds: standard deviation of AP over seeds.",
    )
    return Table(
        f"Every metric of pairs, {judgement.predictions.split}, {dataset}",
        ("model", *columns, "± seeds"),
        tuple(rows),
        notes,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _seed_spread(judgement: Judgement, model: str) -> float | None:
    """Standard deviation over seeds of a model's average precision."""
    predictions = judgement.predictions
    values = defaultdict(list)
    for seed, fold in zip(predictions.seeds, predictions.folds, strict=True):
        test = answers(fold, model, "test")
        values[seed].append(average_precision_score(test.labels, test.scores))
    means = [np.mean(found) for found in values.values()]
    return float(np.std(means)) if len(means) > 1 else None


def rankings_table(judgement: Judgement, dataset: str) -> Table:
    """What full rankings are worth, both ways round, every model, on one split."""
    rows, columns, skipped = [], ["model"], ""
    for model in judgement.models:
        tests = [answers(f, model, "test") for f in judgement.predictions.folds]
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
        describe_pairs(judgement.predictions),
        "A list is all that was judged of one user (user …: challenges ranked for a "
        "user) or one challenge (challenge …: users ranked for a challenge) in one "
        "fold, never a sample. Each value is the mean of the lists with both labels: "
        + skipped,
        "precision@k: joiners among the first k, over k; recall@k: over all joiners. "
        "NDCG: discount 1/log2(1 + rank). MRR: 1 / rank of the first that was joined. "
        "lift@p%: precision in the first p % (rounded up) over prevalence in the list. "
        "Equal scores count with their expected value under random order.",
    )
    return Table(
        f"Rankings, {judgement.predictions.split}, {dataset}",
        tuple(columns),
        tuple(rows),
        notes,
    )


def _means(
    kind: str, folds: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, float | None]:
    """Means over the lists of all folds; None where there is no list."""
    return {
        f"{kind} {name}": _known(_mean(np.concatenate([fold[name] for fold in folds])))
        for name in folds[0]
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _count(folds: Sequence[RankedLists]) -> str:
    """Says how many lists were judged and how many left out."""
    num_skipped = sum(lists.num_skipped for lists in folds)
    return f"{sum(map(len, folds))} lists ({num_skipped} left out)"


def variants_table(judgement: Judgement, dataset: str) -> Table | None:
    """Every form of deepChallenger beside deepChallenger itself, on one split.

    Returns:
        A row a form; None where deepChallenger or any other form was not judged.
    """
    variants = [m for m in judgement.models if m.startswith(DEEP_CHALLENGER)]
    if DEEP_CHALLENGER not in variants or len(variants) < 2:
        return None
    rows: list[tuple[Cell, ...]] = []
    for model in variants:
        above: tuple[Cell, Cell] = (None, None)
        if model != DEEP_CHALLENGER:
            above = judgement.difference(model, DEEP_CHALLENGER).cells()
        rows.append((model, judgement.average_precision(model), *above))
    return Table(
        f"Forms of deepChallenger, {judgement.predictions.split}, {dataset}",
        ("model", "AP", "Δ AP", "Δ 95 %"),
        tuple(rows),
        (
            describe_pairs(judgement.predictions),
            "Δ AP: above deepChallenger itself; its 95 % is a bootstrap paired over "
            "users.",
        ),
    )


@dataclass(frozen=True)
class ChallengeResult:
    """How one model does within one challenge.

    Attributes:
        num_pairs: judged pairs, all folds together.
        num_joined: how many of them joined.
        num_folds: folds in which its pairs have both labels.
        num_skipped: folds in which they have one.
        precision_over_prevalence: average precision over prevalence, mean of its
            folds; 1 is chance. None without a fold.
        roc_auc: mean of its folds. None without a fold.
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
    """Judges a model within each challenge, by the name of the challenge."""
    found = defaultdict(list)
    for fold in predictions.folds:
        names = fold["challenge"].unique()
        test = answers(fold, model, "test")
        for code, name in zip(names.to_physical(), names, strict=True):
            mine = test.challenges == code
            if mine.any():
                found[name].append((test.labels[mine], test.scores[mine]))
    return {name: _judge_challenge(found[name]) for name in sorted(found)}


def _judge_challenge(
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
) -> ChallengeResult:
    judged = [(la, sc) for la, sc in folds if 0 < la.mean() < 1]
    ratios = [average_precision_score(la, sc) / la.mean() for la, sc in judged]
    areas = [roc_auc_score(la, sc) for la, sc in judged]
    return ChallengeResult(
        num_pairs=sum(len(labels) for labels, _ in folds),
        num_joined=int(sum(labels.sum() for labels, _ in folds)),
        num_folds=len(judged),
        num_skipped=len(folds) - len(judged),
        precision_over_prevalence=_known(_mean(np.array(ratios))),
        roc_auc=_known(_mean(np.array(areas))),
    )


def challenges_table(judgement: Judgement, dataset: str) -> Table | None:
    """Puts deepChallenger beside the strongest simple baseline, a challenge a row.

    Returns:
        One row a challenge, those with most joiners first; None where one of the two
        was not judged.
    """
    best = judgement.strongest
    if best is None or DEEP_CHALLENGER not in judgement.models:
        return None
    ours = challenge_results(judgement.predictions, DEEP_CHALLENGER)
    theirs = challenge_results(judgement.predictions, best)
    names = sorted(ours, key=lambda name: (-ours[name].num_joined, name))
    rows = [_challenge_row(name, ours[name], theirs[name]) for name in names]
    num_judged = sum(ours[name].num_folds > 0 for name in names)
    num_better = sum((_gap(ours[name], theirs[name]) or 0) > 0 for name in names)
    notes = (
        describe_pairs(judgement.predictions),
        f"ours: {DEEP_CHALLENGER}; simple: {best}, the strongest simple baseline.",
        "AP / prevalence: average precision over the share that joined, 1 is chance; "
        "like AUC the mean of the folds in which a challenge has both labels. left "
        "out: folds in which it has one.",
        f"{DEEP_CHALLENGER} is above {best} in {num_better} of {num_judged} challenges "
        "that can be judged.",
    )
    return Table(
        f"Challenge by challenge, {judgement.predictions.split}, {dataset}",
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
