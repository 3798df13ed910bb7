"""Cross-fitting plan: which model scores which pairs.

A model that combines the scores of simple models would trust them too much if these
were fitted on the same pairs. Each training pair therefore gets scores of models that
were fitted without it. Pairs are held out as in the split: by user, by challenge, by
both, or pair by pair; with several cutoffs, models are fitted on the earlier cutoffs
whose labels were complete at the cutoff of the pair. Validation pairs get the scores of
models fitted on all training pairs, or on those known at their cutoff. All other pairs
get the scores of models fitted on training and validation pairs, because simple models
need no validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dc_keras.context.fold_data import Evidence
from dc_keras.study.participation import Grid
from dc_keras.study.temporal import label_ends

_NUM_INNER_FOLDS = 5
# Number of inner folds of users and of challenges; each combination is one fit.
_NUM_INNER_SIDES = 3


@dataclass(frozen=True, eq=False)
class CrossFitStep:
    """The pairs that a model is fitted on and the pairs that it scores.

    Attributes:
        fitted: int64, positions of the pairs to fit on.
        scored: int64, positions of the pairs to score, disjoint from `fitted`.
        is_inner: whether the scored pairs are training pairs.
    """

    fitted: np.ndarray
    scored: np.ndarray
    is_inner: bool = False


def plan_steps(
    evidence: Evidence,
    grid: Grid,
    split: str,
    train: np.ndarray,
    valid: np.ndarray,
    seed: int,
) -> list[CrossFitStep]:
    """Returns the steps that score the pairs of a fold.

    The first step fits the final model: it uses all training and validation pairs and
    scores the others, even if there are none. A training pair is not scored if nothing
    is left to fit on without it, for example with a single challenge or at the first
    cutoff.
    """
    known = np.sort(np.concatenate([train, valid]))
    others = np.setdiff1d(np.arange(len(evidence.pairs)), known)
    steps: list[CrossFitStep] = []
    if split == "temporal":
        steps += _past_steps(evidence, grid, train, valid)
    else:
        steps.append(CrossFitStep(train, valid))
        steps += _inner_steps(evidence, split, train, seed)
    usable = [step for step in steps if len(step.fitted) > 0 and len(step.scored) > 0]
    return [CrossFitStep(known, others), *usable]


def _past_steps(
    evidence: Evidence, grid: Grid, train: np.ndarray, valid: np.ndarray
) -> Iterator[CrossFitStep]:
    """Yields steps for each cutoff, fitted on the pairs whose labels were known by it.

    Where no labels were known, validation pairs are scored by a model fitted on all
    training pairs, because no model is fitted on their scores.
    """
    cutoff = np.array(grid.user_cutoffs)[evidence.pairs.user]
    ends = label_ends(grid)
    end = np.array([ends[int(of_pair)] for of_pair in cutoff[train]])
    for now in np.unique(cutoff[train]):
        known = train[end <= now]
        trained, validated = (rows[cutoff[rows] == now] for rows in (train, valid))
        yield CrossFitStep(known, trained, is_inner=True)
        yield CrossFitStep(known if len(known) else train, validated)


def _inner_steps(
    evidence: Evidence, split: str, train: np.ndarray, seed: int
) -> Iterator[CrossFitStep]:
    rng = np.random.default_rng(seed)

    def draw(group: np.ndarray, num_folds: int) -> np.ndarray:
        number = rng.permutation(int(group.max()) + 1) % num_folds
        return np.asarray(number[group][train])

    person, topic = evidence.pair_person, evidence.pair_topic
    if split == "cold_both":
        left, right = draw(person, _NUM_INNER_SIDES), draw(topic, _NUM_INNER_SIDES)
    else:
        pair = np.arange(len(person))
        groups = {"random_pair": pair, "cold_user": person, "cold_challenge": topic}
        left, right = draw(groups[split], _NUM_INNER_FOLDS), np.zeros(len(train))
    for a in np.unique(left):
        for b in np.unique(right):
            is_out = (left == a) & (right == b)
            is_fitted = left != a
            if split == "cold_both":
                is_fitted &= right != b
            yield CrossFitStep(train[is_fitted], train[is_out], is_inner=True)
