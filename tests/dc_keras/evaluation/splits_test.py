from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.corpus.pairs import grid_pairs
from dc_keras.errors import DataError
from dc_keras.evaluation.splits import SPLITS, make_folds, split_rows
from dc_keras.models.config import ProtocolOptions


@pytest.fixture
def pairs(grid):
    return grid_pairs(grid)


def _folds(grid, split, num_folds=3, validation_fraction=0.1, seed=0):
    pairs = grid_pairs(grid)
    return make_folds(grid, pairs, split, num_folds, validation_fraction, seed)


def _parts(fold):
    return fold.train, fold.valid, fold.test


def _grid_of(grid, num_users):
    rows = slice(num_users)
    return replace(
        grid,
        users=grid.users[rows],
        labels=grid.labels[rows],
        observed=grid.observed[rows],
        histories=grid.histories[rows],
    )


@pytest.mark.parametrize("split", SPLITS)
def test_every_pair_is_in_exactly_one_part(grid, pairs, split):
    for index, fold in enumerate(_folds(grid, split)):
        together = np.sort(np.concatenate(_parts(fold)))
        np.testing.assert_array_equal(together, np.arange(len(pairs)))
        assert (fold.split, fold.index) == (split, index)
        assert all(len(part) > 0 for part in _parts(fold))


def test_random_pair_is_three_shuffled_divisions_of_80_to_20(grid, pairs):
    folds = _folds(grid, "random_pair", ProtocolOptions().num_folds)
    # 24 × 3 pairs, two of them unobserved: 70. A fifth is 14, a tenth of 56 is 6.
    assert len(pairs) == 70
    assert [tuple(map(len, _parts(fold))) for fold in folds] == 3 * [(50, 6, 14)]
    assert len({fold.test.tobytes() for fold in folds}) == 3
    # Shuffled: no test part is a run of neighbours.
    assert all(np.ptp(fold.test) > len(fold.test) for fold in folds)
    # Whom a pair is about does not matter: nobody is hidden.
    assert all(fold.hidden_users == frozenset() for fold in folds)


def test_cold_user_puts_all_pairs_of_a_user_into_one_part(grid, pairs):
    for fold in _folds(grid, "cold_user"):
        train, valid, test = (set(pairs.user[part]) for part in _parts(fold))
        assert not train & valid
        assert not train & test
        assert not valid & test
        # Whoever is judged or validated is a newcomer, by name.
        assert fold.hidden_users == {grid.users[user] for user in valid | test}


@pytest.mark.parametrize("num_folds", [2, 3, 5])
def test_cold_user_tests_each_user_once(grid, pairs, num_folds):
    folds = _folds(grid, "cold_user", num_folds)
    assert len(folds) == num_folds
    tested = [user for fold in folds for user in np.unique(pairs.user[fold.test])]
    assert sorted(tested) == list(range(len(grid.users)))
    sizes = [len(np.unique(pairs.user[fold.test])) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


def test_cold_user_validates_on_a_share_of_the_training_users(grid, pairs):
    # 24 users, 8 tested; a quarter of the other 16 is 4.
    for fold in _folds(grid, "cold_user", validation_fraction=0.25):
        assert len(np.unique(pairs.user[fold.valid])) == 4


@pytest.mark.parametrize("split", SPLITS)
def test_no_validation_leaves_its_pairs_to_training(grid, pairs, split):
    for fold in _folds(grid, split, validation_fraction=0.0):
        assert len(fold.valid) == 0
        assert len(fold.train) + len(fold.test) == len(pairs)


@pytest.mark.parametrize("split", SPLITS)
def test_the_seed_decides_the_folds(grid, split):
    def drawn(seed):
        parts = [_parts(fold) for fold in _folds(grid, split, seed=seed)]
        return [[part.tolist() for part in same] for same in zip(*parts, strict=True)]

    assert drawn(3) == drawn(3)
    for one, other in zip(drawn(3), drawn(4), strict=True):
        assert one != other


@pytest.mark.parametrize("split", SPLITS)
def test_labels_do_not_move_a_pair(grid, pairs, split):
    others = replace(pairs, label=1 - pairs.label)
    for fold, other in zip(
        make_folds(grid, pairs, split, 3, 0.1, 0),
        make_folds(grid, others, split, 3, 0.1, 0),
        strict=True,
    ):
        for part, other_part in zip(_parts(fold), _parts(other), strict=True):
            np.testing.assert_array_equal(part, other_part)


def test_unknown_split_is_refused(grid):
    with pytest.raises(DataError, match=r"one of random_pair, cold_user.*: temporal"):
        _folds(grid, "temporal")


@pytest.mark.parametrize(
    ("split", "num_folds", "least"), [("random_pair", 0, 1), ("cold_user", 1, 2)]
)
def test_too_few_folds_are_refused(grid, split, num_folds, least):
    with pytest.raises(
        DataError, match=f"{split} must be at least {least}. .*num_folds={num_folds}"
    ):
        _folds(grid, split, num_folds)


@pytest.mark.parametrize(("num_folds", "num_needed"), [(2, 4), (3, 3), (5, 5)])
def test_cold_user_needs_users_to_train_on_and_to_validate_on(
    grid, num_folds, num_needed
):
    for fold in _folds(_grid_of(grid, num_needed), "cold_user", num_folds):
        assert all(len(part) > 0 for part in _parts(fold))
    with pytest.raises(
        DataError, match=f"at least {num_needed} users .* Received: {num_needed - 1}"
    ):
        _folds(_grid_of(grid, num_needed - 1), "cold_user", num_folds)


@given(
    count=st.integers(2, 60), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 9)
)
def test_split_rows_divides_without_an_empty_part(count, fraction, seed):
    kept, out = split_rows(count, fraction, seed)
    assert sorted([*kept, *out]) == list(range(count))
    assert len(kept) >= 1
    assert len(out) >= 1
    assert abs(len(out) - fraction * count) <= 1
    assert np.all(np.diff(kept) > 0)
    assert np.all(np.diff(out) > 0)


@pytest.mark.parametrize(("count", "fraction"), [(5, 0.0), (1, 0.5), (0, 0.5)])
def test_split_rows_holds_nothing_out_where_it_cannot(count, fraction):
    kept, out = split_rows(count, fraction, 0)
    assert kept.tolist() == list(range(count))
    assert out.tolist() == []
