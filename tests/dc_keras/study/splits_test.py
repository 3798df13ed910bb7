from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.errors import DataError
from dc_keras.options import ProtocolOptions
from dc_keras.study.pairs import grid_pairs
from dc_keras.study.splits import SPLITS, make_folds, split_rows
from dc_keras.study.temporal import join_cutoffs


@pytest.fixture(scope="session")
def grid(make_grid):
    """24 users who join the challenges that they like, with one in eight labels flipped."""
    return make_grid(
        ("dance", "cats", "cooking"),
        np.arange(24) % 3,
        ("pool0", "pool1", "pool2", "pool3"),
        seed=1,
        exceptions=0.125,
        unseen=([2, 9], [0, 1]),
        history_length=lambda row: 2 + row % 2,
    )


@pytest.fixture
def pairs(grid):
    return grid_pairs(grid)


@pytest.fixture(scope="session")
def grid_of(make_grid):
    """Returns a grid of 12 users and 9 challenges; at three cutoffs, for temporal."""

    def make(split):
        grid = make_grid(
            tuple("abcdefghi"),
            np.arange(12) % 9,
            ("pool0",),
            seed=1,
            exceptions=0.3,
            unseen=([2, 9], [0, 1]),
            history_length=lambda row: 1,
        )
        return join_cutoffs([grid] * 3, [1, 2, 3]) if split == "temporal" else grid

    return make


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
def test_a_pair_is_in_one_part_at_most_and_in_one_but_for_cold_both(grid_of, split):
    grid = grid_of(split)
    everything = np.arange(len(grid_pairs(grid)))
    folds = _folds(grid, split)
    assert len(folds) == (1 if split == "temporal" else 3)
    for index, fold in enumerate(folds):
        together = np.sort(np.concatenate(_parts(fold)))
        assert len(np.unique(together)) == len(together)
        if split == "cold_both":
            assert set(together) < set(everything)
        else:
            np.testing.assert_array_equal(together, everything)
        assert (fold.split, fold.index) == (split, index)
        assert all(len(part) > 0 for part in _parts(fold))


@pytest.mark.parametrize("split", SPLITS)
def test_hidden_names_are_the_held_out_ones(grid_of, split):
    grid = grid_of(split)
    pairs = grid_pairs(grid)
    for fold in _folds(grid, split):
        held_out = np.concatenate([fold.valid, fold.test])
        users = {grid.users[user] for user in pairs.user[held_out]}
        challenges = {grid.challenges[c] for c in pairs.challenge[held_out]}
        trained = {grid.challenges[c] for c in pairs.challenge[fold.train]}
        hides_users = split in ("cold_user", "cold_both")
        assert fold.hidden_users == (users if hides_users else set())
        if split == "cold_challenge":
            assert fold.hidden_challenges == challenges == {*grid.challenges} - trained
        elif split == "cold_both":
            # Users are validated on challenges that are known.
            assert fold.hidden_challenges == {*grid.challenges} - trained
        else:
            assert fold.hidden_challenges == frozenset()
        assert not fold.hidden_users & {grid.users[u] for u in pairs.user[fold.train]}
        assert not fold.hidden_challenges & trained


def test_random_pair_is_three_shuffled_divisions_of_80_to_20(grid, pairs):
    folds = _folds(grid, "random_pair", ProtocolOptions().num_folds)
    # 24 × 3 pairs, two of them unobserved: 70. A fifth is 14, a tenth of 56 is 6.
    assert len(pairs) == 70
    assert [tuple(map(len, _parts(fold))) for fold in folds] == 3 * [(50, 6, 14)]
    assert len({fold.test.tobytes() for fold in folds}) == 3
    # Pairs are shuffled, so test pairs are not consecutive.
    assert all(np.ptp(fold.test) > len(fold.test) for fold in folds)
    # Pairs are independent of their users: no user is hidden.
    assert all(fold.hidden_users == frozenset() for fold in folds)


def test_cold_user_puts_all_pairs_of_a_user_into_one_part(grid, pairs):
    for fold in _folds(grid, "cold_user"):
        train, valid, test = (set(pairs.user[part]) for part in _parts(fold))
        assert not train & valid
        assert not train & test
        assert not valid & test
        # Test and validation users are hidden by name.
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


@pytest.mark.parametrize("num_folds", [2, 3])
def test_cold_challenge_tests_each_challenge_once(grid_of, num_folds):
    grid = grid_of("cold_challenge")
    pairs = grid_pairs(grid)
    folds = _folds(grid, "cold_challenge", num_folds, validation_fraction=0.25)
    tested = [c for fold in folds for c in np.unique(pairs.challenge[fold.test])]
    assert sorted(tested) == list(range(9))
    for fold in folds:
        train, valid, test = (set(pairs.challenge[part]) for part in _parts(fold))
        assert not train & valid
        assert not train & test
        assert not valid & test
        # A quarter of the other 4 to 6, rounded up.
        assert len(valid) == -(-(9 - len(test)) // 4)


def test_cold_both_tests_pairs_that_are_new_on_both_sides(grid_of):
    grid = grid_of("cold_both")
    pairs = grid_pairs(grid)
    folds = _folds(grid, "cold_both", validation_fraction=0.25)
    judged_users, judged_challenges = [], []
    for fold in folds:
        train, valid, test = (
            (set(pairs.user[part]), set(pairs.challenge[part])) for part in _parts(fold)
        )
        assert not train[0] & test[0]
        assert not train[1] & test[1]
        # Validated are other new users, on challenges that are known.
        assert not valid[0] & (train[0] | test[0])
        assert valid[1] == train[1]
        # 12 users, 4 judged; a quarter of the other 8 are 2. 9 challenges, 3 judged.
        assert (len(train[0]), len(valid[0]), len(test[0])) == (6, 2, 4)
        assert (len(train[1]), len(test[1])) == (6, 3)
        judged_users += test[0]
        judged_challenges += test[1]
    assert sorted(judged_users) == list(range(12))
    assert sorted(judged_challenges) == list(range(9))


def test_temporal_tests_the_last_cutoff_and_validates_by_user(grid_of):
    grid = grid_of("temporal")
    pairs = grid_pairs(grid)
    (fold,) = _folds(grid, "temporal", validation_fraction=0.25)
    cutoffs = np.array(grid.user_cutoffs)[pairs.user]
    assert set(cutoffs[fold.test]) == {3}
    assert set(cutoffs[fold.train]) == set(cutoffs[fold.valid]) == {1, 2}
    train, valid, test = (
        {grid.users[user] for user in pairs.user[part]} for part in _parts(fold)
    )
    # All cutoffs have the same users: 12 are tested, 3 of them are for validation.
    assert not train & valid
    assert (len(train), len(valid)) == (9, 3)
    assert test == train | valid


@pytest.mark.parametrize("split", SPLITS)
def test_no_validation_leaves_its_pairs_to_training(grid_of, split):
    grid = grid_of(split)
    for fold in _folds(grid, split, validation_fraction=0.0):
        assert len(fold.valid) == 0
        if split != "cold_both":
            assert len(fold.train) + len(fold.test) == len(grid_pairs(grid))


@pytest.mark.parametrize("split", [s for s in SPLITS if s.startswith("cold")])
@pytest.mark.parametrize("fraction", [0.001, 0.5, 0.9, 0.999])
def test_validation_has_some_groups_but_not_all(grid_of, split, fraction):
    grid = grid_of(split)
    few = _grid_of(grid, 4)
    few = replace(
        few,
        challenges=few.challenges[:4],
        labels=few.labels[:, :4],
        observed=np.ones((4, 4), bool),
        support=few.support[:4],
    )
    for fold in _folds(few, split, 2, fraction):
        assert all(len(part) > 0 for part in _parts(fold))


@pytest.mark.parametrize("split", [s for s in SPLITS if s != "temporal"])
def test_folds_depend_on_the_seed(grid_of, split):
    grid = grid_of(split)

    def drawn(seed):
        parts = [_parts(fold) for fold in _folds(grid, split, seed=seed)]
        return [[part.tolist() for part in same] for same in zip(*parts, strict=True)]

    assert drawn(3) == drawn(3)
    for one, other in zip(drawn(3), drawn(4), strict=True):
        assert one != other


@pytest.mark.parametrize("split", SPLITS)
def test_folds_do_not_depend_on_labels(grid_of, split):
    grid = grid_of(split)
    pairs = grid_pairs(grid)
    others = replace(pairs, label=1 - pairs.label)
    for fold, other in zip(
        make_folds(grid, pairs, split, 3, 0.1, 0),
        make_folds(grid, others, split, 3, 0.1, 0),
        strict=True,
    ):
        for part, other_part in zip(_parts(fold), _parts(other), strict=True):
            np.testing.assert_array_equal(part, other_part)


def test_unknown_split_is_refused(grid):
    with pytest.raises(DataError, match=r"one of random_pair, cold_user.*: tomorrow"):
        _folds(grid, "tomorrow")


@pytest.mark.parametrize(
    ("split", "num_folds", "least"),
    [
        ("random_pair", 0, 1),
        ("cold_user", 1, 2),
        ("cold_challenge", 1, 2),
        ("cold_both", 1, 2),
        ("temporal", 0, 1),
    ],
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


@pytest.mark.parametrize("split", ["cold_challenge", "cold_both"])
def test_new_challenges_need_challenges_to_train_on(grid, split):
    with pytest.raises(
        DataError, match=rf"{split} needs at least 4 challenges. Received: 3"
    ):
        _folds(grid, split, 2)


def test_temporal_validation_users_depend_on_the_seed(grid_of):
    grid = grid_of("temporal")
    (one,), (same,), (other,) = (
        _folds(grid, "temporal", validation_fraction=0.25, seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one.valid, same.valid)
    assert one.valid.tolist() != other.valid.tolist()
    np.testing.assert_array_equal(one.test, other.test)


def test_temporal_needs_a_cutoff_before_the_last(grid):
    for one in (grid, join_cutoffs([grid], [7])):
        with pytest.raises(
            DataError, match=r"at least two cutoffs, .* Received: cutoffs="
        ):
            _folds(one, "temporal")


def test_temporal_needs_two_earlier_users(grid):
    alone = join_cutoffs([_grid_of(grid, 1), grid], [1, 2])
    with pytest.raises(DataError, match=r"at least 2 users .* Received: 1"):
        _folds(alone, "temporal")
    (fold,) = _folds(alone, "temporal", validation_fraction=0.0)
    assert len(fold.train) == 3


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
def test_split_rows_of_a_single_row_holds_out_nothing(count, fraction):
    kept, out = split_rows(count, fraction, 0)
    assert kept.tolist() == list(range(count))
    assert out.tolist() == []
