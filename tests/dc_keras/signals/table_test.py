import functools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dc_keras.corpus.temporal import join_cutoffs
from dc_keras.errors import DataError
from dc_keras.evaluation.splits import SPLITS, Fold, make_folds
from dc_keras.signals.evidence import Evidence
from dc_keras.signals.facts import read_facts
from dc_keras.signals.folds import plan_steps
from dc_keras.signals.table import (
    GROUPS,
    REFERENCE,
    TREES,
    SignalTable,
    add_ties,
    choose_signals,
    logit,
    make_signals,
    parse_groups,
)

pytest.importorskip("igraph", reason="the extra `social` is not installed")

_FITTED = (
    "rates/popularity",
    "rates/propensity_of_words",
    "rates/propensity",
    "text/one_vs_rest",
    "text/taste",
    "neighbours/ease",
    "reference/caption_neighbours",
    "ties/joined",
    "ties/share",
    "ties/weighted_share",
    "ties/community_rate",
    "ties/propagated",
    "ties/neighbours_propensity",
    "ties/community_propensity",
)
_WORDS = ("dance", "cats", "sea", "été", "ダンス")
_NUM_CHALLENGES = 6


def _captions(videos, seed):
    rng = np.random.default_rng(seed)
    return {v: rng.normal(size=4).astype(np.float32) for v in videos["video_id"]}


@pytest.fixture(scope="session")
def made_up(make_study):
    """A grid whose users have words in common, and its posts."""

    def make(num_users=16, seed=0):
        rng = np.random.default_rng(seed)
        labels = (rng.random((num_users, _NUM_CHALLENGES)) < 0.5).astype(int).tolist()
        labels[3][1] = labels[7][2] = None

        def posts(count):
            words = [tuple(rng.choice(_WORDS, 2)) for _ in range(count)]
            return [{"caption": " ".join(w), "hashtags": w[:1]} for w in words]

        pool = {f"p{number}": posts(2) for number in range(5)}
        return make_study(
            labels,
            histories=[posts(1 + row % 3) for row in range(num_users)],
            support=[
                [(f"p{column % 5}", "dance"), ("p1", "sea")]
                for column in range(_NUM_CHALLENGES)
            ],
            pool=pool,
        )

    return make


@pytest.fixture(scope="session")
def case(made_up):
    """Returns evidence, grid and first fold of a split, and the signals of its pairs."""

    @functools.cache
    def make(split):
        grid, videos = made_up()
        if split == "temporal":
            # Three cutoffs, each with other labels; the last is judged.
            others = [made_up(seed=seed)[0].labels for seed in (1, 2)]
            grids = [grid, *(replace(grid, labels=labels) for labels in others)]
            grid = join_cutoffs(grids, [100, 200, 300])
        joins = pl.DataFrame({"video_id": ["c0-00"], "challenge": ["c0"]})
        facts = read_facts(videos, grid, joins=joins)
        evidence = Evidence.of(grid, facts, _captions(videos, 0))
        fold = make_folds(grid, evidence.pairs, split, 3, 0.2, 0)[0]
        return evidence, grid, fold, _signals(evidence, grid, fold)

    return make


def _signals(evidence, grid, fold, flipped=(), seed=0):
    label = evidence.pairs.label.copy()
    label[list(flipped)] = 1 - label[list(flipped)]
    evidence = replace(evidence, pairs=replace(evidence.pairs, label=label))
    steps = _steps(evidence, grid, fold, seed)
    return add_ties(make_signals(evidence, fold.train, steps), evidence, steps)


def _steps(evidence, grid, fold, seed=0):
    return plan_steps(evidence, grid, fold.split, fold.train, fold.valid, seed)


def _rows_that_changed(before, after):
    is_same = (before.values == after.values) | (
        np.isnan(before.values) & np.isnan(after.values)
    )
    return np.flatnonzero(~is_same.all(axis=1))


@pytest.mark.parametrize("split", SPLITS)
def test_a_training_label_never_reaches_the_signals_of_its_own_pair(case, split):
    evidence, grid, fold, before = case(split)
    for row in fold.train[:: max(1, len(fold.train) // 3)]:
        changed = _rows_that_changed(before, _signals(evidence, grid, fold, [row]))
        assert row not in changed
        # It is a label that others learn from: at a later cutoff, if there are any.
        assert set(fold.test) & set(changed)
        later = fold.train[_cutoffs(evidence)[fold.train] > _cutoffs(evidence)[row]]
        if split != "temporal" or len(later):
            assert set(fold.train) & set(changed)


def _cutoffs(evidence):
    return evidence.user_cutoffs[evidence.pairs.user]


def _held_out_with(evidence, split, train, row):
    """Training pairs that a split holds out together with one of them."""
    person = evidence.pair_person[train] == evidence.pair_person[row]
    topic = evidence.pair_topic[train] == evidence.pair_topic[row]
    cutoff = _cutoffs(evidence)
    return train[
        {
            "random_pair": lambda: train == row,
            "cold_user": lambda: person,
            "cold_challenge": lambda: topic,
            "cold_both": lambda: person | topic,
            "temporal": lambda: cutoff[train] >= cutoff[row],
        }[split]()
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_a_training_pair_is_held_out_the_way_a_test_pair_is(case, split):
    evidence, grid, fold, before = case(split)
    for row in fold.train[:: max(1, len(fold.train) // 2)]:
        together = _held_out_with(evidence, split, fold.train, row)
        after = _signals(evidence, grid, fold, together)
        assert row not in _rows_that_changed(before, after)


@pytest.mark.parametrize("split", SPLITS)
def test_validation_pairs_see_labels_of_training_alone(case, split):
    evidence, grid, fold, before = case(split)
    changed = _rows_that_changed(before, _signals(evidence, grid, fold, fold.valid))
    assert len(fold.valid) > 0
    assert not set(changed) & {*fold.train, *fold.valid}
    # Where nobody chooses by it, a validation label is one more to learn from.
    assert set(changed) & set(fold.test)


@pytest.mark.parametrize("split", SPLITS)
def test_no_label_of_a_test_pair_is_seen(case, split):
    evidence, grid, fold, before = case(split)
    unseen = np.setdiff1d(
        np.arange(len(evidence.pairs)), np.concatenate([fold.train, fold.valid])
    )
    assert set(fold.test) <= set(unseen)
    after = _signals(evidence, grid, fold, unseen)
    np.testing.assert_array_equal(before.values, after.values)


@pytest.mark.parametrize("split", SPLITS)
def test_plain_signals_see_no_label_at_all(case, split):
    evidence, grid, fold, before = case(split)
    names = before.names
    plain = [names.index(name) for name in names if name not in _FITTED]
    assert len(plain) == len(names) - len(_FITTED)
    everything = np.arange(len(evidence.pairs))
    after = _signals(evidence, grid, fold, everything)
    np.testing.assert_array_equal(before.values[:, plain], after.values[:, plain])


@pytest.mark.parametrize("split", SPLITS)
def test_every_group_has_columns_and_fitted_ones_are_known(case, split):
    evidence, _, fold, table = case(split)
    assert table.values.shape == (len(evidence.pairs), len(table.names))
    assert table.values.dtype == np.float32
    groups = {name.partition("/")[0] for name in table.names}
    # The posts of this case have no frames.
    wanted = {*GROUPS, "ties", REFERENCE} - {"frames"}
    assert {*groups, "trees"} == wanted - (set() if split == "temporal" else {"past"})
    assert len(set(table.names)) == len(table.names)
    is_first = np.zeros(len(evidence.pairs), bool)
    if split == "temporal":
        # Before the first cutoff there is nothing to fit on.
        is_first[fold.train] = _cutoffs(evidence)[fold.train] == 100
    for name in _FITTED:
        np.testing.assert_array_equal(np.isnan(table[name]), is_first, name)


def test_labels_not_complete_by_a_cutoff_are_not_learned_from_at_it(case):
    evidence, grid, fold, _ = case("temporal")
    late = replace(grid, settings={"cutoffs": [100, 200], "label_ends": [250, 300]})
    cutoff = _cutoffs(evidence)
    at_second = fold.train[cutoff[fold.train] == 200]
    first = fold.train[cutoff[fold.train] == 100]
    for given, is_seen in ((grid, True), (late, False)):
        before, after = (_signals(evidence, given, fold, rows) for rows in ([], first))
        changed = set(_rows_that_changed(before, after))
        assert bool(changed & set(at_second)) == is_seen
        assert changed & set(fold.test)


def test_test_pairs_have_the_rates_of_training_and_validation(
    make_evidence, make_study
):
    labels = [[1, 1], [0, 1], [1, 0], [1, 1]]
    evidence, (grid, _) = make_evidence(labels), make_study(labels)
    fold = Fold("cold_user", 0, np.arange(4), np.array([4, 5]), np.array([6, 7]))
    rates = _signals(evidence, grid, fold)["rates/popularity"]
    # Training and validation: c0 2 of 3, c1 2 of 3, the mean 4/6.
    np.testing.assert_allclose(rates[6:], logit((2 + 4 * 2 / 3) / 7), rtol=1e-6)
    # Training alone: 1 of 2 and 2 of 2, the mean 3/4.
    np.testing.assert_allclose(rates[4:6], logit(np.array([4, 5]) / 6), rtol=1e-6)
    # Out of fold, u00 sees u01 alone: 0 of 1 and 1 of 1, the mean 1/2.
    np.testing.assert_allclose(rates[:2], logit(np.array([2, 3]) / 5), rtol=1e-6)


@pytest.mark.parametrize(
    ("split", "train", "cutoffs"),
    [
        # One training challenge, one training user, one earlier cutoff.
        ("cold_challenge", [0, 2, 4], ()),
        ("cold_user", [0, 1], ()),
        ("cold_both", [0, 2, 4], ()),
        ("temporal", [0, 1, 2, 3], (1, 1, 2)),
    ],
)
def test_where_nothing_is_left_to_fit_on_signals_are_unknown(
    make_evidence, make_study, split, train, cutoffs
):
    labels = [[1, 0], [0, 1], [1, 1]]
    evidence, (grid, _) = make_evidence(labels), make_study(labels)
    grid = replace(grid, user_cutoffs=cutoffs)
    fold = Fold(split, 0, np.array(train), np.array([], int), np.array([5]))
    table = _signals(evidence, grid, fold)
    for name in _FITTED:
        is_known = np.isfinite(table[name])
        assert not is_known[train].any(), name
        assert is_known[5], name
    assert np.isfinite(table["text/cosine"]).all()


def test_training_pairs_of_one_label_are_no_crash(make_evidence, make_study):
    labels = [[0, 0], [0, 0], [1, 1]]
    evidence, (grid, _) = make_evidence(labels), make_study(labels)
    fold = Fold("cold_user", 0, np.arange(4), np.array([4]), np.array([5]))
    before, after = (_signals(evidence, grid, fold, flip) for flip in ([], [4]))
    for name in _FITTED:
        assert np.isfinite(before[name]).all()
    # Not even then does a validation pair see its own label.
    assert 4 not in _rows_that_changed(before, after)


def test_the_seed_decides_the_inner_folds(case):
    evidence, grid, fold, one = case("cold_user")
    same, other = (_signals(evidence, grid, fold, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(one.values, same.values)
    assert set(_rows_that_changed(one, other)) <= set(fold.train)
    assert len(_rows_that_changed(one, other)) > 0


def test_without_captions_posts_or_support_everything_has_a_value_or_nan(
    make_evidence, make_study
):
    labels = [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]]
    evidence, (grid, _) = make_evidence(labels), make_study(labels)
    fold = Fold("cold_user", 0, np.arange(6), np.arange(6, 9), np.arange(9, 12))
    table = _signals(evidence, grid, fold)
    unknown = {n for n in table.names if np.isnan(table[n]).any()}
    ages = {n for n in table.names if n.endswith(("_age", "_silence"))}
    paced = {n for n in table.names if n.startswith("time/support_within_")}
    paced |= {"time/support_after", "time/posts_in_core"}
    engagement = {n for n in table.names if n.startswith("engagement/")}
    assert unknown == ages | paced | engagement
    for name in ("text/cosine", "text/one_vs_rest", "reference/caption_neighbours"):
        assert not table[name].any()


def test_columns_are_found_by_name_and_by_group():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    table = SignalTable(("rates/a", "text/b", "rates/c"), values)
    assert table["text/b"].tolist() == [1.0, 4.0]
    assert table["text/b"].dtype == np.float64
    rates = table.of_groups(["rates"])
    assert rates.names == ("rates/a", "rates/c")
    assert rates.values.tolist() == [[0, 2], [3, 5]]
    assert table.of_groups(GROUPS).names == table.names
    assert table.of_groups(()).values.shape == (2, 0)


@pytest.mark.parametrize("split", SPLITS)
def test_every_pair_is_scored_once_and_never_by_a_model_fitted_on_it(case, split):
    evidence, grid, fold, _ = case(split)
    steps = _steps(evidence, grid, fold)
    scored = np.concatenate([step.scored for step in steps])
    unscored = set(range(len(evidence.pairs))) - set(scored)
    first = fold.train[_cutoffs(evidence)[fold.train] == 100]
    assert len(set(scored)) == len(scored)
    assert unscored == (set(first) if split == "temporal" else set())
    for step in steps:
        assert not np.isin(step.scored, step.fitted).any()
        assert step.is_inner == bool(np.isin(step.scored, fold.train).any())
        assert np.isin(step.fitted, [*fold.train, *fold.valid]).all()


def test_trees_see_the_chosen_groups_alone(case):
    evidence, grid, fold, table = case("cold_user")
    steps = _steps(evidence, grid, fold)
    label = evidence.pairs.label
    chosen = choose_signals(table, ("text", "trees"), label, steps, 0)
    assert chosen.names == (*table.of_groups(["text"]).names, TREES)
    assert np.isfinite(chosen[TREES]).all()
    changed = replace(
        table, values=np.where(["text/" in n for n in table.names], table.values, 7.0)
    )
    same = choose_signals(changed, ("text", "trees"), label, steps, 0)
    np.testing.assert_array_equal(chosen.values, same.values)
    assert TREES not in choose_signals(table, ("text",), label, steps, 0).names
    assert choose_signals(table, ("trees",), label, steps, 0).names == ()


@pytest.mark.parametrize(
    ("wanted", "groups"),
    [
        ("all", GROUPS),
        ("none", ()),
        ("text", ("text",)),
        ("time, rates,time", ("time", "rates")),
    ],
)
def test_groups_are_named_by_an_option(wanted, groups):
    assert parse_groups(wanted) == groups


@pytest.mark.parametrize("wanted", ["", "rate", "rates,all", "rates,,text", "TEXT"])
def test_unknown_groups_are_refused(wanted):
    with pytest.raises(
        DataError, match=f"must be all, none, or some of .* Received: signals={wanted}$"
    ):
        parse_groups(wanted)


def test_logit_ends_where_a_rate_is_certain():
    # ln(.9999 / .0001) = ln 9999.
    np.testing.assert_allclose(
        logit(np.array([0.0, 0.5, 0.75, 1.0])),
        [-np.log(9999), 0, np.log(3), np.log(9999)],
    )
