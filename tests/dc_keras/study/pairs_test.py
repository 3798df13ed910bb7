from dataclasses import replace

import numpy as np
import pytest

from dc_keras.study.pairs import grid_pairs
from dc_keras.errors import DataError


@pytest.fixture(scope="module")
def grid(make_grid):
    """36 users × 3 challenges, two cells without a pair."""
    return make_grid(
        ("dance", "cats", "cooking"),
        np.arange(36) % 3,
        ("pool0",),
        seed=1,
        exceptions=0.125,
        unseen=([2, 9], [0, 1]),
        history_length=lambda row: 2,
    )


def test_pairs_are_the_observed_cells_of_the_grid(grid):
    pairs = grid_pairs(grid)
    expected = [
        (user, challenge, grid.labels[user, challenge])
        for user in range(len(grid.users))
        for challenge in range(len(grid.challenges))
        if grid.observed[user, challenge]
    ]
    found = zip(pairs.user, pairs.challenge, pairs.label, strict=True)
    assert list(found) == expected
    assert len(pairs) == 36 * 3 - 2


@pytest.mark.parametrize("label", [0, 1])
def test_a_grid_of_one_label_is_refused(grid, label):
    same = replace(grid, labels=np.full_like(grid.labels, label))
    with pytest.raises(DataError, match=r"106 pairs, all with the same label"):
        grid_pairs(same)


def test_a_grid_without_a_pair_is_refused(grid):
    with pytest.raises(DataError, match="0 pairs"):
        grid_pairs(replace(grid, observed=np.zeros_like(grid.observed)))
