"""Who is scored by models fitted on whom.

A model that learned from the scores of simple models on the very pairs they were fitted
on would trust them too much. So each training pair gets the scores of models that have
not seen it, held out the way the split holds its test pairs out: by user, by challenge,
by both, pair by pair, or, of several cutoffs, by models fitted on what was known at the
pair's own: earlier cutoffs whose labels were complete by then. Validation pairs get the
scores of models fitted on all training pairs, or on what was known at their cutoff;
every other pair those of models fitted on both, for a simple model has no need of
validation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dc_keras.context.fold_data import Evidence
from dc_keras.study.participation import Grid
from dc_keras.study.temporal import label_ends

_NUM_INNER_FOLDS = 5
# Each pair of inner folds is a fit: users × challenges.
_NUM_INNER_SIDES = 3


@dataclass(frozen=True, eq=False)
class Step:
    """Pairs that a model is fitted on, and pairs that it then scores.

    Attributes:
        fitted: positions of pairs, int64.
        scored: positions of pairs, int64; none is in `fitted`.
        is_inner: whether those scored are training pairs.
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
) -> list[Step]:
    """Returns the steps that score every pair of a fold.

    The first is fitted on all training and validation pairs and scores the others,
    even if there are none: what it is fitted on is what is kept. Where holding a
    training pair out leaves nothing to fit on (one challenge, the first cutoff), no
    step scores it.

    Args:
        evidence: whose pairs they are.
        grid: the cutoffs of rows and their label windows, for `temporal`.
        split: how test pairs are held out.
        train: positions of the training pairs.
        valid: positions of the validation pairs.
        seed: of the inner folds.
    """
    known = np.sort(np.concatenate([train, valid]))
    others = np.setdiff1d(np.arange(len(evidence.pairs)), known)
    steps: list[Step] = []
    if split == "temporal":
        steps += _past_steps(evidence, grid, train, valid)
    else:
        steps.append(Step(train, valid))
        steps += _inner_steps(evidence, split, train, seed)
    whole = [step for step in steps if len(step.fitted) > 0 and len(step.scored) > 0]
    return [Step(known, others), *whole]


def _past_steps(
    evidence: Evidence, grid: Grid, train: np.ndarray, valid: np.ndarray
) -> Iterator[Step]:
    """A step a cutoff, fitted on the cutoffs whose label windows had ended by it.

    Where none had, validation pairs, which nobody learns from, see all training pairs.
    """
    cutoff = np.array(grid.user_cutoffs)[evidence.pairs.user]
    ends = label_ends(grid)
    end = np.array([ends[int(of_pair)] for of_pair in cutoff[train]])
    for now in np.unique(cutoff[train]):
        known = train[end <= now]
        trained, validated = (rows[cutoff[rows] == now] for rows in (train, valid))
        yield Step(known, trained, is_inner=True)
        yield Step(known if len(known) else train, validated)


def _inner_steps(
    evidence: Evidence, split: str, train: np.ndarray, seed: int
) -> Iterator[Step]:
    rng = np.random.default_rng(seed)

    def draw(group: np.ndarray, num_folds: int) -> np.ndarray:
        number = rng.permutation(int(group.max()) + 1) % num_folds
        return np.asarray(number[group][train])

    one = np.zeros(len(train), np.int64)
    person, topic = evidence.pair_person, evidence.pair_topic
    sides: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "random_pair": lambda: (draw(np.arange(len(person)), _NUM_INNER_FOLDS), one),
        "cold_user": lambda: (draw(person, _NUM_INNER_FOLDS), one),
        "cold_challenge": lambda: (draw(topic, _NUM_INNER_FOLDS), one),
        "cold_both": lambda: (
            draw(person, _NUM_INNER_SIDES),
            draw(topic, _NUM_INNER_SIDES),
        ),
    }
    left, right = sides[split]()
    for a in np.unique(left):
        for b in np.unique(right):
            is_out = (left == a) & (right == b)
            is_rest = left != a
            if split == "cold_both":
                is_rest &= right != b
            yield Step(train[is_rest], train[is_out], is_inner=True)
