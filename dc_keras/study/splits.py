"""Splits: the training, validation and test pairs of each fold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, ShuffleSplit

from dc_keras.errors import DataError
from dc_keras.study.pairs import Pairs
from dc_keras.study.participation import Grid

SPLITS = ("random_pair", "cold_user", "cold_challenge", "cold_both", "temporal")
TEST_FRACTION = 0.2
# The seed of a fold is 1000 times this and the number of the fold, and an int32.
MAX_SEED = 2**31 // 1000


@dataclass(frozen=True)
class Fold:
    """One division of the pairs.

    Attributes:
        split: name of the split.
        index: number of the fold, from 0.
        train: positions in `Pairs` of the training pairs.
        valid: positions of the pairs for early stopping and the decision threshold.
        test: positions of the test pairs.
        hidden_users: ids of the users held out for validation and test. Their videos
            are used neither for training nor to describe a challenge.
        hidden_challenges: names of the challenges held out for validation and test.
            Their videos are not used for training, but still describe the challenge.
    """

    split: str
    index: int
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    hidden_users: frozenset[str] = frozenset()
    hidden_challenges: frozenset[str] = frozenset()


def make_folds(
    grid: Grid,
    pairs: Pairs,
    split: str,
    num_folds: int,
    validation_fraction: float,
    seed: int,
) -> list[Fold]:
    """Divides the pairs of a grid into folds.

    The splits are:

    - `random_pair` tests on 20 % of the pairs in each of `num_folds` shuffles (the
      paper's "80-20" and "three-fold", docs/paper.md 24).
    - `cold_user` tests on whole users, each in one of `num_folds` folds.
    - `cold_challenge` tests on whole challenges, each in one fold.
    - `cold_both` tests on the pairs of held-out users with held-out challenges, and
      trains on the pairs without either; the other pairs are in no part.
    - `temporal` tests on the last cutoff of a grid that joins several, in one fold.

    Args:
        grid: the grid of the pairs.
        pairs: the observed pairs.
        split: name of the split.
        num_folds: number of folds, at least 1, and at least 2 for the cold splits.
            `temporal` always has one fold.
        validation_fraction: share of the training pairs (`random_pair`), training
            challenges (`cold_challenge`) or training users (other splits) kept for
            validation.
        seed: seed of the shuffles.

    Raises:
        DataError: if the split is unknown, the seed is too large, there are too few
            folds, too few users or challenges for the folds, or a `temporal` grid has
            one cutoff only or fewer than two earlier users.
    """
    if split not in SPLITS:
        raise DataError(
            f"`split` must be one of {', '.join(SPLITS)}. Received: {split}."
        )
    if not 0 <= seed < MAX_SEED:
        raise DataError(
            f"`seed` of a split must be 0 to {MAX_SEED - 1}. Received: seed={seed}"
        )
    least = 2 if split.startswith("cold") else 1
    if num_folds < least:
        raise DataError(
            f"`num_folds` of {split} must be at least {least}. "
            f"Received: num_folds={num_folds}."
        )
    if split == "random_pair":
        return _random_pair(pairs, num_folds, validation_fraction, seed)
    if split == "temporal":
        return [_temporal(grid, pairs, validation_fraction, seed)]
    return _cold(grid, pairs, split, num_folds, validation_fraction, seed)


def cold_fold(
    grid: Grid,
    pairs: Pairs,
    split: str,
    index: int,
    users: tuple[np.ndarray, np.ndarray] | None,
    challenges: tuple[np.ndarray, np.ndarray] | None,
) -> Fold:
    """Returns a fold that holds out users, challenges or both.

    Args:
        grid: the grid of the pairs.
        pairs: the observed pairs.
        split: name of the split.
        index: number of the fold.
        users: positions of the validation users and of the test users; None if users
            are not held out.
        challenges: positions of the validation and test challenges; None if challenges
            are not held out.
    """
    # 0 training, 1 validation, 2 test.
    user_part = _parts_of(len(grid.users), users)[pairs.user]
    challenge_part = _parts_of(len(grid.challenges), challenges)[pairs.challenge]
    train = (user_part == 0) & (challenge_part == 0)
    if users is None:
        test, valid = challenge_part == 2, challenge_part == 1
    elif challenges is None:
        test, valid = user_part == 2, user_part == 1
    else:
        # Validation uses training challenges: pairs new on both sides are too few.
        test = (user_part == 2) & (challenge_part == 2)
        valid = (user_part == 1) & (challenge_part == 0)
    return Fold(
        split,
        index,
        train=np.flatnonzero(train),
        valid=np.flatnonzero(valid),
        test=np.flatnonzero(test),
        hidden_users=_names(grid.users, users),
        hidden_challenges=_names(grid.challenges, challenges),
    )


def split_rows(count: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits 0 … count−1 at random into a rest and a share of `fraction`, both sorted.

    Both parts have at least one element if `count` is at least 2 and `fraction` is
    above zero.
    """
    if fraction == 0 or count < 2:
        return np.arange(count), np.arange(0)
    held_out = min(max(round(fraction * count), 1), count - 1)
    shuffle = ShuffleSplit(1, test_size=held_out, random_state=seed)
    kept, out = next(shuffle.split(np.zeros(count)))
    return np.sort(kept), np.sort(out)


def _parts_of(count: int, held_out: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    part = np.zeros(count, np.int8)
    for number, positions in enumerate(held_out or (), start=1):
        part[positions] = number
    return part


def _names(
    names: tuple[str, ...], held_out: tuple[np.ndarray, np.ndarray] | None
) -> frozenset[str]:
    if held_out is None:
        return frozenset()
    return frozenset(names[position] for position in np.concatenate(held_out))


def _random_pair(
    pairs: Pairs, num_folds: int, validation_fraction: float, seed: int
) -> list[Fold]:
    folds = []
    for index in range(num_folds):
        fold_seed = seed * 1000 + index
        rest, test = split_rows(len(pairs), TEST_FRACTION, fold_seed)
        kept, valid = split_rows(len(rest), validation_fraction, fold_seed)
        folds.append(Fold("random_pair", index, rest[kept], rest[valid], test))
    return folds


_HeldOut = tuple[np.ndarray, np.ndarray]


def _cold(
    grid: Grid,
    pairs: Pairs,
    split: str,
    num_folds: int,
    validation_fraction: float,
    seed: int,
) -> list[Fold]:
    users: Sequence[_HeldOut | None] = [None] * num_folds
    challenges = users
    challenge_fraction = validation_fraction
    if split != "cold_challenge":
        users = _held_out(
            pairs.user,
            split,
            "users in the panel",
            num_folds,
            validation_fraction,
            seed,
        )
        # Validation holds out users, so every challenge outside the test trains.
        challenge_fraction = 0.0
    if split != "cold_user":
        challenges = _held_out(
            pairs.challenge, split, "challenges", num_folds, challenge_fraction, seed
        )
    return [
        cold_fold(grid, pairs, split, index, users[index], challenges[index])
        for index in range(num_folds)
    ]


def _held_out(
    group: np.ndarray,
    split: str,
    what: str,
    num_folds: int,
    validation_fraction: float,
    seed: int,
) -> list[_HeldOut]:
    """Returns the validation and test groups of each fold, each group tested once."""
    # Each fold also needs a group to train on and one to validate on.
    num_groups, num_needed = len(np.unique(group)), max(num_folds, 3)
    num_needed = 4 if num_folds == 2 else num_needed
    if num_groups < num_needed:
        raise DataError(
            f"{split} needs at least {num_needed} {what}. Received: {num_groups}."
        )
    kfold = GroupKFold(num_folds, shuffle=True, random_state=seed)
    folds = []
    for index, (rest, test) in enumerate(kfold.split(group, groups=group)):
        valid = rest[:0]
        if validation_fraction > 0:
            fold_seed = seed * 1000 + index
            valid = rest[_group_shuffle(group[rest], validation_fraction, fold_seed)]
        folds.append((np.unique(group[valid]), np.unique(group[test])))
    return folds


def _group_shuffle(group: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Returns the positions of a share of the groups, at least one and never all."""
    num_groups = len(np.unique(group))
    count = min(math.ceil(fraction * num_groups), num_groups - 1)
    shuffle = GroupShuffleSplit(1, test_size=count, random_state=seed)
    _, held_out = next(shuffle.split(group, groups=group))
    return np.asarray(held_out)


def _temporal(grid: Grid, pairs: Pairs, validation_fraction: float, seed: int) -> Fold:
    cutoffs = np.array(grid.user_cutoffs, np.int64)
    if len(np.unique(cutoffs)) < 2:
        raise DataError(
            "temporal needs a grid of at least two cutoffs, such as "
            "ParticipationDataset(..., horizon_days=28) makes. "
            f"Received: cutoffs={np.unique(cutoffs).tolist()}."
        )
    is_last = cutoffs[pairs.user] == cutoffs.max()
    rest, test = np.flatnonzero(~is_last), np.flatnonzero(is_last)
    if validation_fraction == 0:
        return Fold("temporal", 0, rest, rest[:0], test)
    # Users are held out by id, because a user has one row per cutoff.
    person = np.unique(np.array(grid.users), return_inverse=True)[1][pairs.user]
    num_people = len(np.unique(person[rest]))
    if num_people < 2:
        raise DataError(
            "temporal needs at least 2 users before the last cutoff, one to train on "
            f"and one to validate on. Received: {num_people}."
        )
    held_out = _group_shuffle(person[rest], validation_fraction, seed * 1000)
    valid = np.zeros(len(rest), bool)
    valid[held_out] = True
    return Fold("temporal", 0, rest[~valid], rest[valid], test)
