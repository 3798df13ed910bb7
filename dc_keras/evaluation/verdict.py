"""The result of a split in one sentence, and the models that a short table shows."""

from __future__ import annotations

from dc_keras.evaluation.result_tables import BAYES, DEEP_CHALLENGER
from dc_keras.evaluation.results import SplitResult
from dc_keras.evaluation.simple_baselines import SIMPLE_BASELINES

SPLIT_NAMES = {
    "cold_user": "new users",
    "cold_challenge": "new challenges",
    "temporal": "tomorrow",
    "cold_both": "new users and new challenges",
    "random_pair": "known users and known challenges",
}


def verdict(result: SplitResult) -> str | None:
    """Says in one sentence or two which model is best, and by how much.

    Args:
        result: of one split.

    Returns:
        The sentence; None where deepChallenger or the simple baselines were not judged.
    """
    simple = result.strongest
    if simple is None or DEEP_CHALLENGER not in result.models:
        return None
    split = result.predictions.split
    ours = result.average_precision(DEEP_CHALLENGER)
    low, high = result.interval(DEEP_CHALLENGER)
    difference = result.difference(DEEP_CHALLENGER, simple)
    if difference.low > 0:
        conclusion = "more than differences between users explain"
    elif difference.high < 0:
        conclusion = "so the simple baseline is better"
    else:
        conclusion = "so neither is shown to be better"
    sentence = (
        f"For {SPLIT_NAMES.get(split, split)}, deepChallenger has an average precision "
        f"of {ours:.3f} [{low:.3f} to {high:.3f}]; "
        f"the strongest simple baseline, {simple}, has "
        f"{result.average_precision(simple):.3f}: a difference of "
        f"{difference.value:+.3f} [{difference.low:+.3f} to {difference.high:+.3f}], "
        f"{conclusion}."
    )
    best = max(_learned(result), key=result.average_precision)
    if best != DEEP_CHALLENGER:
        sentence += (
            f" Another form is ahead of it: {best}, with "
            f"{result.average_precision(best):.3f}."
        )
    if BAYES in result.models:
        bound = result.average_precision(BAYES)
        sentence += f" The best possible is {bound:.3f}."
    return sentence


def short_list(result: SplitResult, most: int = 10) -> list[str]:
    """Returns the models of a short table, the highest average precision first.

    The best possible, deepChallenger and its forms come in first, then the paper's
    best baseline and simple baselines, the strongest first.

    Args:
        result: of one split.
        most: number of models at most.
    """
    order = sorted(result.models, key=result.average_precision, reverse=True)
    simple = [model for model in order if model in SIMPLE_BASELINES]
    learned = [model for model in _learned(result) if model != BAYES]
    forms = [m for m in learned if m.startswith(DEEP_CHALLENGER) or m.endswith("only")]
    others = [model for model in learned if model not in forms]
    bound = [BAYES] if BAYES in result.models else []
    chosen = [*bound, *forms, *others[:1], *simple, *others[1:]][:most]
    return [model for model in order if model in chosen]


def _learned(result: SplitResult) -> list[str]:
    """Returns the models that are neither simple nor the bound, the best first."""
    models = [m for m in result.models if m not in SIMPLE_BASELINES and m != BAYES]
    return sorted(models, key=result.average_precision, reverse=True)
