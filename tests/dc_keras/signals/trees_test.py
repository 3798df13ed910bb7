import numpy as np

from dc_keras.signals.folds import Step
from dc_keras.signals.trees import boosted_trees


def _halves(num_pairs):
    rows = np.arange(num_pairs)
    even, odd = rows[::2], rows[1::2]
    return [Step(even, odd), Step(odd, even)]


def test_trees_find_what_no_sum_of_signals_says():
    # Joins where exactly one of two signals is positive: neither alone tells anything.
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(2000, 2)).astype(np.float32)
    label = ((signals[:, 0] > 0) != (signals[:, 1] > 0)).astype(np.int32)
    scores = boosted_trees(signals, label, _halves(2000), seed=0)
    assert np.mean((scores > 0) == label) > 0.95


def test_a_label_never_reaches_its_own_score():
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(400, 3)).astype(np.float32)
    label = (rng.random(400) < 0.3).astype(np.int32)
    before = boosted_trees(signals, label, _halves(400), seed=0)
    label[::2] = 1 - label[::2]
    after = boosted_trees(signals, label, _halves(400), seed=0)
    np.testing.assert_array_equal(before[::2], after[::2])
    assert (before[1::2] != after[1::2]).any()


def test_unknown_signals_are_no_crash_and_unscored_pairs_are_unknown():
    signals = np.full((200, 2), np.nan, np.float32)
    label = np.arange(200, dtype=np.int32) % 4 // 3
    scores = boosted_trees(signals, label, _halves(200)[:1], seed=0)
    assert np.isnan(scores[::2]).all()
    # Nothing to go by but the rate of the even pairs, none of which joined.
    np.testing.assert_allclose(scores[1::2], np.log(1e-4 / (1 - 1e-4)))


def test_the_rate_is_all_that_unknown_signals_leave():
    signals = np.full((200, 2), np.nan, np.float32)
    label = (np.arange(200) % 8 < 2).astype(np.int32)
    scores = boosted_trees(signals, label, _halves(200), seed=0)
    np.testing.assert_allclose(scores, np.log(1 / 3), atol=1e-6)
