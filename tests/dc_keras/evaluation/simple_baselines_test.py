from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dc_keras.context.context_fitting import ContextData, ContextFeatures
from dc_keras.context.cross_fit_plan import plan_steps
from dc_keras.context.fold_data import Evidence
from dc_keras.context.pair_features import NAMES
from dc_keras.evaluation.simple_baselines import (
    SIMPLE_BASELINES,
    STACK,
    SimpleData,
    always_yes,
    ease,
    in_time,
    logistic_stack,
    popularity,
    prevalence,
    propensity,
    propensity_popularity,
    propensity_recent_popularity,
    recent_popularity,
    simple_scores,
)
from dc_keras.study.pairs import Pairs, grid_pairs
from dc_keras.study.splits import SPLITS, Fold, make_folds
from dc_keras.study.temporal import join_cutoffs

# Three of the four training pairs joined; the rest are judged.
_LABELS = np.array([1, 1, 0, 1, 0, 1])
_PAIRS = Pairs(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1] * 3), _LABELS)
_FOLD = Fold("cold_user", 0, np.arange(4), np.array([4]), np.array([5]))


def _data(**columns):
    """Context features by name, `GROUP__NAME`, six numbers each; others unknown."""
    values = np.full((6, len(NAMES)), np.nan, np.float32)
    for name, column in columns.items():
        values[:, NAMES.index(name.replace("__", "/"))] = column
    return SimpleData(_PAIRS, _FOLD, SimpleNamespace(values=values, steps=[]))


def _logits(*rates):
    rate = np.clip(rates, 1e-4, 1 - 1e-4)
    return np.log(rate / (1 - rate))


def test_always_yes_is_one():
    np.testing.assert_array_equal(always_yes(_data()), np.ones(6))


def test_prevalence_is_the_share_of_training_pairs_that_joined():
    np.testing.assert_array_equal(prevalence(_data()), np.full(6, 0.75))


def test_rates_are_read_from_their_logits():
    rates = [0.1, 0.5, 0.9, 0.25, 0.001, 0.999]
    data = _data(
        rates__popularity=_logits(*rates), rates__propensity=_logits(*rates[::-1])
    )
    assert popularity(data) == pytest.approx(rates, rel=1e-5)
    assert propensity(data) == pytest.approx(rates[::-1], rel=1e-5)


_RATES = {
    "rates__popularity": _logits(0.6, 0.3, 0.9, 0.9, 0.6, 0.3),
    "rates__propensity": _logits(0.5, 0.5, 0.9, 0.1, 0.25, 1.0),
}
# Over the mean rate, .75; .81 / .75 ends at 1.
_PRODUCTS = np.array([0.4, 0.2, 1.0, 0.12, 0.2, 0.4])


def test_propensity_times_popularity_is_over_the_mean_rate_and_ends_at_one():
    # A rate of 1 is cut to .9999.
    assert propensity_popularity(_data(**_RATES)) == pytest.approx(_PRODUCTS, abs=1e-4)


def test_time_moves_the_product_by_a_half_at_most():
    near = np.array([0.0, 0.5, 0.0, 1.0, 1.0, 0.25])
    # Times .5, 1, .5, 1.5, 1.5, .75.
    expected = [0.2, 0.2, 0.5, 0.18, 0.3, 0.3]
    scores = in_time(_data(**_RATES, time__posts_in_window=near))
    assert scores == pytest.approx(expected, abs=1e-4)


def test_recent_popularity_is_over_the_maximum():
    posts = np.array([8.0, 2.0, 0.0, 4.0, 8.0, 1.0])
    data = _data(**_RATES, rates__recent_supporters=np.log1p(posts))
    shares = [1, 0.25, 0, 0.5, 1, 0.125]
    assert recent_popularity(data) == pytest.approx(shares, abs=1e-5)
    products = np.multiply(shares, [0.5, 0.5, 0.9, 0.1, 0.25, 1.0])
    assert propensity_recent_popularity(data) == pytest.approx(products, abs=1e-4)


def test_nothing_recent_is_zero():
    data = _data(rates__recent_supporters=np.zeros(6))
    np.testing.assert_array_equal(recent_popularity(data), np.zeros(6))


def test_ease_is_clipped_to_a_probability():
    values = np.array([-0.5, 0.0, 0.25, 0.75, 1.0, 1.25])
    scores = ease(_data(neighbours__ease=values))
    np.testing.assert_array_equal(scores, [0, 0, 0.25, 0.75, 1, 1])


def test_stack_learns_the_informative_feature():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 300)
    values = np.stack([rng.normal(size=300), label + rng.normal(0, 0.3, 300)], axis=1)
    # Some are unknown, and one signal is never known.
    values[::7, 0] = np.nan
    values = np.concatenate([values, np.full((300, 1), np.nan)], axis=1)
    pairs = Pairs(np.arange(300), np.zeros(300, int), label)
    fold = Fold("cold_user", 0, np.arange(200), np.arange(0), np.arange(200, 300))
    features = SimpleNamespace(values=values.astype(np.float32), steps=[])
    scores = logistic_stack(SimpleData(pairs, fold, features))
    assert np.all((scores > 0) & (scores < 1))
    # 1.7 standard deviations either side of the middle: 95 % are right.
    assert np.mean((scores[200:] > 0.5) == label[200:]) > 0.88


def test_feature_unknown_in_training_does_not_change_the_stack():
    known = np.array([1.0, 1, 0, 1, 0, 1])
    late = np.where(np.arange(6) < 4, np.nan, 1e6)
    alone, beside, late = (
        logistic_stack(_data(rates__popularity=known, rates__supporters=column))
        for column in (np.zeros(6), np.full(6, np.nan), late)
    )
    np.testing.assert_allclose(beside, alone)
    np.testing.assert_allclose(late, alone)


@pytest.fixture(scope="session")
def wide_grid(make_grid):
    """Challenges enough to hold some out, and users of a pool."""
    grid = make_grid(
        tuple("abcdef"),
        np.arange(18) % 6,
        ("pool0", "pool1"),
        seed=1,
        exceptions=0.3,
        unseen=([2, 9], [0, 1]),
        history_length=lambda row: 1 + row % 2,
        cutoff=None,
    )
    return replace(
        grid,
        # Joiners describe challenges there; here the pool alone does.
        support=tuple(ids[:2] for ids in grid.support),
        pool_users=("pool0", "pool1"),
        pool_histories=((), ()),
    )


@pytest.fixture(scope="session")
def data_of(wide_grid, make_facts):
    """Returns the data of a fold, with the labels at some positions flipped."""
    rng = np.random.default_rng(0)
    texts = {v: " ".join(rng.choice(list("xyz"), 2)) for v in wide_grid.video_users}
    facts = replace(
        make_facts(texts),
        pasts={
            (u, t): np.array([t, 9.0, 30.0]) for u in wide_grid.users for t in (1, 2, 3)
        },
    )
    vectors = rng.normal(size=(len(facts.video_ids), 3)).astype(np.float32)

    def make(split, flipped=()):
        grid = wide_grid
        if split == "temporal":
            grid = join_cutoffs([grid] * 3, [1, 2, 3])
        pairs = grid_pairs(grid)
        fold = make_folds(grid, pairs, split, 3, 0.2, 0)[0]
        label = pairs.label.copy()
        if flipped:
            rows = np.concatenate([getattr(fold, part) for part in flipped])
            label[rows] = 1 - label[rows]
        pairs = replace(pairs, label=label)
        evidence = replace(Evidence.of(grid, facts, fold.hidden_users), pairs=pairs)
        steps = plan_steps(evidence, grid, split, fold.train, fold.valid, 0)
        data = ContextData(evidence, vectors, None, history_max=2, support_max=2)
        features = ContextFeatures(data, fold.train, steps, 0)
        return SimpleData(pairs, fold, features)

    return make


def test_baselines_of_earlier_joins_need_a_cutoff(data_of):
    every = [*SIMPLE_BASELINES]
    assert [*simple_scores(data_of("temporal"))] == every
    rest = [name for name in every if not name.startswith("earlier joins")]
    assert len(every) - len(rest) == 2
    assert [*simple_scores(data_of("cold_user"))] == rest


@pytest.mark.parametrize("split", SPLITS)
def test_scores_are_probabilities_of_all_pairs(data_of, split):
    data = data_of(split)
    for name, scores in simple_scores(data).items():
        assert scores.shape == (len(data.pairs),)
        judged = scores[np.concatenate([data.fold.valid, data.fold.test])]
        assert np.all((judged >= 0) & (judged <= 1)), name


@pytest.mark.parametrize("split", SPLITS)
def test_no_baseline_uses_a_test_label(data_of, split):
    flipped = simple_scores(data_of(split, ("test",)))
    for name, scores in simple_scores(data_of(split)).items():
        np.testing.assert_array_equal(flipped[name], scores, name)


@pytest.mark.parametrize("split", SPLITS)
def test_no_baseline_uses_the_label_of_a_validation_pair(data_of, split):
    honest, flipped = data_of(split), simple_scores(data_of(split, ("valid",)))
    rows = honest.fold.valid
    for name, scores in simple_scores(honest).items():
        np.testing.assert_array_equal(flipped[name][rows], scores[rows], name)


def test_stack_and_trees_are_the_last_baselines():
    assert [*SIMPLE_BASELINES][-2:] == [STACK, "boosted trees"]
