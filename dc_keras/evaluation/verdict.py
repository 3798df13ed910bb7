"""Summary of the result of a split: one sentence, and the models of a short table."""

from __future__ import annotations

from dc_keras.evaluation.result_tables import (
    BAYES,
    CONTEXT_ONLY,
    DEEP_CHALLENGER,
    VIDEOS_ONLY,
    WITHOUT_FRAMES,
)
from dc_keras.evaluation.results import Difference, SplitResult
from dc_keras.evaluation.simple_baselines import SIMPLE_BASELINES

SPLIT_NAMES = {
    "cold_user": "new users",
    "cold_challenge": "new challenges",
    "temporal": "tomorrow",
    "cold_both": "new users and new challenges",
    "random_pair": "known users and known challenges",
}


def verdict(result: SplitResult) -> str | None:
    """Returns one or two sentences that compare deepChallenger with other models.

    None if deepChallenger or the simple baselines were not evaluated.
    """
    simple = result.strongest
    if simple is None or DEEP_CHALLENGER not in result.models:
        return None
    split = result.predictions.split
    ours = result.average_precision(DEEP_CHALLENGER)
    low, high = result.interval(DEEP_CHALLENGER)
    by_how_much = _describe_difference(
        result.difference(DEEP_CHALLENGER, simple),
        "so the simple baseline is better",
        "so neither is shown to be better",
    )
    sentence = (
        f"For {SPLIT_NAMES.get(split, split)}, deepChallenger has an average precision "
        f"of {ours:.3f} [{low:.3f} to {high:.3f}]; "
        f"the strongest simple baseline, {simple}, has "
        f"{result.average_precision(simple):.3f}: a difference of {by_how_much}."
    )
    if WITHOUT_FRAMES in result.models:
        by_how_much = _describe_difference(
            result.difference(DEEP_CHALLENGER, WITHOUT_FRAMES),
            "so it is better without them",
            "so they are not shown to help",
        )
        sentence += (
            " Without frames, from captions only, it has "
            f"{result.average_precision(WITHOUT_FRAMES):.3f}: frames add {by_how_much}."
        )
    best = max(_learned(result), key=result.average_precision)
    if best != DEEP_CHALLENGER:
        sentence += (
            f" Another variant is better: {best}, with "
            f"{result.average_precision(best):.3f}."
        )
    if BAYES in result.models:
        bound = result.average_precision(BAYES)
        sentence += f" The best possible is {bound:.3f}."
    return sentence


def _describe_difference(difference: Difference, worse: str, unclear: str) -> str:
    """Returns a difference with its interval and what follows from it."""
    if difference.low > 0:
        conclusion = "more than differences between users explain"
    elif difference.high < 0:
        conclusion = worse
    else:
        conclusion = unclear
    interval = f"[{difference.low:+.3f} to {difference.high:+.3f}]"
    return f"{difference.value:+.3f} {interval}, {conclusion}"


def short_list(result: SplitResult, most: int = 10) -> list[str]:
    """Returns at most `most` models, the highest average precision first.

    Models are selected in this order: the Bayes-optimal model, deepChallenger and its
    variants, the best baseline of the paper, and simple baselines, the strongest first.
    """
    order = sorted(result.models, key=result.average_precision, reverse=True)
    simple = [model for model in order if model in SIMPLE_BASELINES]
    learned = [model for model in _learned(result) if model != BAYES]
    forms = (DEEP_CHALLENGER, CONTEXT_ONLY, VIDEOS_ONLY)
    ours = [model for model in learned if model.startswith(forms)]
    others = [model for model in learned if model not in ours]
    bound = [BAYES] if BAYES in result.models else []
    chosen = [*bound, *ours, *others[:1], *simple, *others[1:]][:most]
    return [model for model in order if model in chosen]


def _learned(result: SplitResult) -> list[str]:
    """Returns models that are neither simple nor Bayes-optimal, the best first."""
    models = [m for m in result.models if m not in SIMPLE_BASELINES and m != BAYES]
    return sorted(models, key=result.average_precision, reverse=True)
