"""Which pairs train, which choose, which judge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, ShuffleSplit

from dc_keras.corpus.study import Grid
from dc_keras.errors import DataError
from dc_keras.training.participation import Pairs

SPLITS = ("random_pair", "cold_user")
TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Fold:
    """One division of the pairs.

    Attributes:
        split: name of the split.
        index: number of the fold, from 0.
        train: positions in `Pairs` that the gradient sees.
        valid: positions that early stopping and the threshold see.
        test: positions that are judged.
        hidden_users: ids of users none of whose videos may train or describe anything,
            because they are judged or validated as newcomers.
    """

    split: str
    index: int
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    hidden_users: frozenset[str]


def make_folds(
    grid: Grid,
    pairs: Pairs,
    split: str,
    num_folds: int,
    validation_fraction: float,
    seed: int,
) -> list[Fold]:
    """Divides the pairs of a grid.

    Args:
        grid: the users behind the pairs.
        pairs: the observed pairs.
        split: `random_pair` holds out 20 % of the pairs in each of `num_folds` shuffles
            (the paper's reading of "80-20" and "three-fold", docs/paper.md 24);
            `cold_user` holds out whole users, each once in `num_folds` folds.
        num_folds: number of folds, at least 1; at least 2 for `cold_user`.
        validation_fraction: part of the training pairs (`random_pair`) or of the
            training users (`cold_user`) kept for validation.
        seed: seed of the shuffles.

    Raises:
        DataError: an unknown split, too few folds, or fewer users than folds ask for.
    """
    least = 2 if split == "cold_user" else 1
    if num_folds < least:
        raise DataError(
            f"`num_folds` of {split} must be at least {least}. "
            f"Received: num_folds={num_folds}."
        )
    if split == "random_pair":
        return _random_pair(pairs, num_folds, validation_fraction, seed)
    if split == "cold_user":
        return _cold_user(grid, pairs, num_folds, validation_fraction, seed)
    raise DataError(f"`split` must be one of {', '.join(SPLITS)}. Received: {split}.")


def split_rows(count: int, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Shuffles 0 … count−1 into a larger part and one of `fraction`, each sorted.

    Both parts have at least one element where `count` is at least 2 and `fraction` is
    above zero.
    """
    if fraction == 0 or count < 2:
        return np.arange(count), np.arange(0)
    held_out = min(max(round(fraction * count), 1), count - 1)
    shuffle = ShuffleSplit(1, test_size=held_out, random_state=seed)
    kept, out = next(shuffle.split(np.zeros(count)))
    return np.sort(kept), np.sort(out)


def _random_pair(
    pairs: Pairs, num_folds: int, validation_fraction: float, seed: int
) -> list[Fold]:
    folds = []
    for index in range(num_folds):
        fold_seed = seed * 1000 + index
        rest, test = split_rows(len(pairs), TEST_FRACTION, fold_seed)
        kept, valid = split_rows(len(rest), validation_fraction, fold_seed)
        folds.append(
            Fold("random_pair", index, rest[kept], rest[valid], test, frozenset())
        )
    return folds


def _cold_user(
    grid: Grid, pairs: Pairs, num_folds: int, validation_fraction: float, seed: int
) -> list[Fold]:
    # Beside each test part there must be a user to train on and one to validate on.
    num_users, num_needed = len(np.unique(pairs.user)), max(num_folds, 3)
    num_needed = 4 if num_folds == 2 else num_needed
    if num_users < num_needed:
        raise DataError(
            f"cold_user needs at least {num_needed} users in the panel. "
            f"Received: {num_users}."
        )
    # GroupKFold fills folds evenly; the shuffle of users comes from the seed.
    kfold = GroupKFold(num_folds, shuffle=True, random_state=seed)
    folds = []
    everything = np.arange(len(pairs))
    for index, (rest, test) in enumerate(kfold.split(everything, groups=pairs.user)):
        train, valid = rest, rest[:0]
        if validation_fraction > 0:
            groups = pairs.user[rest]
            shuffle = GroupShuffleSplit(
                1, test_size=validation_fraction, random_state=seed * 1000 + index
            )
            kept, held_out = next(shuffle.split(rest, groups=groups))
            train, valid = rest[kept], rest[held_out]
        hidden = np.unique(pairs.user[np.concatenate([valid, test])])
        names = frozenset(grid.users[user] for user in hidden)
        folds.append(Fold("cold_user", index, train, valid, test, names))
    return folds
