import functools
from dataclasses import replace

import numpy as np
import pytest

from dc_keras.context import context_fitting
from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.cross_fit_plan import plan_steps
from dc_keras.context.pair_features import ACCOUNT, NAMES, PAST
from dc_keras.study.splits import SPLITS, make_folds

# Features that depend on the joins of other pairs.
_LEARNED = (
    "rates/popularity",
    "rates/propensity",
    "text/taste",
    "neighbours/ease",
)


@pytest.fixture(scope="module")
def case(make_world):
    """Returns the data of a split, its first fold, the steps and the features."""

    @functools.cache
    def make(split):
        cutoffs = (1_602_000_000, 1_604_000_000, 1_606_000_000)
        grid, data = make_world(cutoffs=cutoffs if split == "temporal" else ())
        fold = make_folds(grid, data.evidence.pairs, split, 3, 0.2, 0)[0]
        steps = plan_steps(data.evidence, grid, split, fold.train, fold.valid, 0)
        return data, fold, steps, ContextFeatures(data, fold.train, steps, 0)

    return make


def _with_flipped(data, row):
    label = data.evidence.pairs.label.copy()
    label[row] = 1 - label[row]
    pairs = replace(data.evidence.pairs, label=label)
    return replace(data, evidence=replace(data.evidence, pairs=pairs))


def _that_changed(before, after):
    is_same = (before == after) | (np.isnan(before) & np.isnan(after))
    return np.flatnonzero(~is_same.all(axis=1))


@pytest.mark.parametrize("split", SPLITS)
def test_training_label_does_not_change_features_of_its_pair(case, split):
    data, fold, steps, before = case(split)
    for row in fold.train[:: max(1, len(fold.train) // 2)]:
        after = ContextFeatures(_with_flipped(data, row), fold.train, steps, 0)
        changed = _that_changed(before.values, after.values)
        assert row not in changed
        # Other pairs do change.
        assert set(fold.test) & set(changed)
        dropped = fold.train[_that_changed(before.dropped, after.dropped)]
        assert row not in dropped


@pytest.mark.parametrize("split", SPLITS)
def test_a_test_label_changes_nothing(case, split):
    data, fold, steps, before = case(split)
    after = ContextFeatures(_with_flipped(data, fold.test[0]), fold.train, steps, 0)
    assert len(_that_changed(before.values, after.values)) == 0
    assert len(_that_changed(before.dropped, after.dropped)) == 0


def test_features_are_learned_from_labels_of_other_pairs(case):
    data, fold, steps, before = case("cold_user")
    row = fold.train[0]
    after = ContextFeatures(_with_flipped(data, row), fold.train, steps, 0)
    is_same = np.isclose(before.values, after.values, equal_nan=True, atol=0)
    moved = {NAMES[column] for column in np.flatnonzero(~is_same.all(axis=0))}
    # New users have no joins, so features of other joins do not change.
    assert moved == {name for name in _LEARNED if name != "neighbours/ease"}


@pytest.mark.parametrize("split", SPLITS)
def test_test_pairs_have_the_features_of_the_final_vectors(case, split):
    data, fold, _, features = case(split)
    pairs, rows = data.evidence.pairs, fold.test
    users = features.users[pairs.user[rows]]
    challenges = features.challenges[pairs.challenge[rows]]
    found = np.array(features.pair_features(users, challenges))
    found[found < -1e8] = np.nan
    # The order of summation in a product depends on the batch size.
    np.testing.assert_allclose(features.values[rows], found, rtol=1e-5, atol=1e-6)


def test_all_kinds_of_features_differ_between_pairs(case):
    *_, features = case("random_pair")
    seen = features.values[:, [not name.startswith("past/") for name in NAMES]]
    assert (np.nanstd(seen, axis=0) > 0).all()
    *_, features = case("temporal")
    assert (np.nanstd(features.values, axis=0) > 0).all()


def test_describe_of_the_same_data_gives_the_same_vectors(case):
    data, _, _, features = case("random_pair")
    users, challenges = features.describe(data)
    np.testing.assert_array_equal(users, features.users)
    np.testing.assert_array_equal(challenges, features.challenges)


def test_describe_of_other_data_uses_the_same_weights(case):
    data, _, _, features = case("random_pair")
    before = features.users.copy()
    silent = replace(data, caption_vectors=np.zeros_like(data.caption_vectors))
    users, challenges = features.describe(silent)
    layout = features.layout.user
    assert not layout.part(users, "captions").any()
    for name in ("topics", "frames", "habits", "days"):
        np.testing.assert_array_equal(
            layout.part(users, name), layout.part(before, name)
        )
    # The features keep their own data.
    np.testing.assert_array_equal(features.users, before)
    assert features.data is data
    assert challenges.shape == features.challenges.shape


def _without(data, kinds):
    """The same data without some kinds of facts; the joins stay."""
    posts = data.evidence.facts.posts
    gone = {
        "times": {"create_times": np.full_like(posts.create_times, -1)},
        "durations": {"durations": np.full_like(posts.durations, -1)},
        "counts": {"counts": np.full_like(posts.counts, -1)},
        "sounds": {
            name: np.full_like(getattr(posts, name), b"")
            for name in ("sounds", "sound_titles")
        },
    }
    for kind in kinds:
        posts = posts._replace(**gone.get(kind, {}))
    facts = replace(data.evidence.facts, posts=posts)
    evidence = replace(data.evidence, facts=facts)
    if "account" in kinds:
        unknown = np.full_like(evidence.accounts, np.nan)
        evidence = replace(evidence, accounts=unknown)
    return replace(data, evidence=evidence)


def _without_joins(features, users):
    """Vectors of users of whom no join is known, neither before nor in training."""
    users = users.copy()
    start = features.layout.user.width + len(ACCOUNT)
    users[:, start : start + len(PAST)] = -1e9
    users[:, start + len(PAST) : -1] = 0.0
    return users


_KINDS = ("times", "durations", "counts", "sounds", "account", "joins")


@pytest.mark.parametrize("split", ["random_pair", "temporal"])
@pytest.mark.parametrize("kinds", [*((kind,) for kind in _KINDS), _KINDS])
def test_dropped_facts_equal_missing_facts(case, split, kinds):
    data, _, _, features = case(split)
    is_dropped = np.zeros((len(features.users), len(_KINDS)), bool)
    is_dropped[::2, [_KINDS.index(kind) for kind in kinds]] = True
    found = features._without(is_dropped)(features._labels[0])
    expected, _ = features.describe(_without(data, kinds))
    if "joins" in kinds:
        expected = _without_joins(features, expected)
    np.testing.assert_array_equal(found[::2], expected[::2])
    np.testing.assert_array_equal(found[1::2], features.users[1::2])
    assert (found != features.users).any()


def test_users_without_facts_have_captions_and_frames_only(case):
    data, _, _, features = case("random_pair")
    bare, _ = features.describe(_without(data, _KINDS))
    np.testing.assert_array_equal(
        features.users_without_facts(), _without_joins(features, bare)
    )


@pytest.mark.parametrize("split", ["random_pair", "cold_user"])
def test_pairs_without_dropout_are_unchanged(make_world, monkeypatch, split):
    monkeypatch.setattr(context_fitting, "_ALL_DROPPED", 0.0)
    monkeypatch.setattr(context_fitting, "_ONE_DROPPED", 0.0)
    grid, data = make_world()
    fold = make_folds(grid, data.evidence.pairs, split, 3, 0.2, 0)[0]
    steps = plan_steps(data.evidence, grid, split, fold.train, fold.valid, 0)
    features = ContextFeatures(data, fold.train, steps, 0)
    np.testing.assert_array_equal(features.dropped, features.values[fold.train])


def test_about_half_of_the_users_lose_all_facts(case):
    *_, features = case("cold_user")
    is_bare = np.isnan(features.dropped[:, NAMES.index("time/user_age")])
    whole = np.isnan(features.values[features.train, NAMES.index("time/user_age")])
    assert 0.5 < is_bare[~whole].mean() < 1.0


def test_posts_beyond_the_longest_history_do_not_count(case):
    data, *_, features = case("random_pair")
    longer = tuple(
        np.concatenate([rows, [0] * 3]) if len(rows) == 3 else rows
        for rows in data.evidence.histories
    )
    evidence = replace(data.evidence, histories=longer)
    users, _ = features.describe(replace(data, evidence=evidence))
    np.testing.assert_array_equal(users, features.users)


def test_posts_that_describe_challenges_are_kept_in_order(case):
    data, *_, features = case("random_pair")
    posts = features.support_posts
    assert posts.shape == (6, 2, features.space.width)
    last = data.evidence.support[5]
    np.testing.assert_array_equal(posts[5], features._vectors[last])


def test_without_captions_and_frames_there_are_still_features(make_world):
    grid, data = make_world()
    bare = replace(data, caption_vectors=None, frame_vectors=None)
    fold = make_folds(grid, data.evidence.pairs, "cold_user", 3, 0.2, 0)[0]
    steps = plan_steps(data.evidence, grid, "cold_user", fold.train, fold.valid, 0)
    features = ContextFeatures(bare, fold.train, steps, 0)
    for name in ("text/caption_cosine", "frames/cosine"):
        assert not features.values[:, NAMES.index(name)].any()
    assert np.nanstd(features.values[:, NAMES.index("text/taste")]) > 0


def test_a_second_fit_is_the_same_to_the_bit(case):
    data, fold, steps, features = case("random_pair")
    again = ContextFeatures(data, fold.train, steps, 0)
    np.testing.assert_array_equal(features.values, again.values)
    np.testing.assert_array_equal(features.dropped, again.dropped)
