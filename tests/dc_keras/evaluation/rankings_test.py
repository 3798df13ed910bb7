from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from dc_keras.evaluation.rankings import rank_challenges, rank_lists, rank_users

_rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 1)),
    min_size=1,
    max_size=10,
).map(lambda rows: np.array(rows, np.int64).T)


def _orders(scores):
    """Every order of one list that its scores allow."""
    for order in map(list, permutations(range(len(scores)))):
        if np.all(np.diff(scores[order]) <= 0):
            yield order


@settings(max_examples=40, deadline=None)
@given(_rows)
def test_ties_have_the_mean_over_their_orders(rows):
    labels, scores, groups = rows
    lists = rank_lists(labels, scores / 2, groups)
    place = 0
    for group in np.unique(groups):
        mine, their_scores = labels[groups == group], scores[groups == group]
        if len(mine) > 6 or len(np.unique(mine)) < 2:
            place += len(np.unique(mine)) == 2
            continue
        orders = [mine[order] for order in _orders(their_scores)]
        expected = {
            "mrr": np.mean([1 / (1 + o.argmax()) for o in orders]),
            "recall": np.mean([o[:3].sum() / o.sum() for o in orders]),
            "precision": np.mean([o[:3].sum() / 3 for o in orders]),
        }
        assert lists.reciprocal_rank()[place] == pytest.approx(expected["mrr"])
        assert lists.recall(3)[place] == pytest.approx(expected["recall"])
        assert lists.precision(3)[place] == pytest.approx(expected["precision"])
        for k in (1, 3, 5):
            value = ndcg_score([mine], [their_scores], k=k)
            assert lists.ndcg(k)[place] == pytest.approx(value)
        place += 1
    assert place == len(lists)
    assert lists.num_skipped == len(np.unique(groups)) - place


def test_a_ranking_by_hand():
    # By score: no, yes, no, no, yes; two positives.
    lists = rank_lists(
        np.array([1, 0, 0, 1, 0]), np.array([0.8, 0.9, 0.7, 0.1, 0.3]), np.zeros(5)
    )
    values = {name: found.item() for name, found in rank_challenges(lists).items()}
    second, third = 1 / np.log2(3), 1 / np.log2(6)
    assert values == pytest.approx(
        {
            "NDCG@1": 0,
            "NDCG@3": second / (1 + second),
            "NDCG@5": (second + third) / (1 + second),
            "recall@1": 0,
            "recall@3": 1 / 2,
            "recall@5": 1,
            "MRR": 1 / 2,
        }
    )


def test_users_of_a_challenge_by_hand():
    # 40 users, the best four in order yes, no, yes, yes, then one more yes at the end:
    # the first percent is one user, five percent are two, ten are four. Prevalence 1/10.
    labels = np.zeros(40, int)
    labels[[0, 2, 3, 39]] = 1
    lists = rank_lists(labels, np.linspace(1, 0, 40), np.zeros(40))
    values = {name: found.item() for name, found in rank_users(lists).items()}
    gained = 1 + 1 / np.log2(4) + 1 / np.log2(5)
    best = gained + 1 / np.log2(3)
    assert values == pytest.approx(
        {
            "precision@10": 3 / 10,
            "precision@50": 4 / 50,
            "recall@10": 3 / 4,
            "recall@50": 1,
            "NDCG@10": gained / best,
            "NDCG@50": (gained + 1 / np.log2(41)) / best,
            "lift@1%": 10,
            "lift@5%": 5,
            "lift@10%": 7.5,
        }
    )


def test_constant_score_has_chance_level():
    labels = np.array([1, 0, 0, 0] * 25)
    lists = rank_lists(labels, np.ones(100), np.zeros(100))
    values = rank_users(lists)
    for name in ("lift@1%", "lift@5%", "lift@10%"):
        assert values[name] == pytest.approx([1])
    assert values["precision@10"] == pytest.approx([1 / 4])
    shares = np.linspace(0, 1, 7)
    assert lists.gain(shares) == pytest.approx(shares)


def test_gain_is_the_recall_in_a_share_of_users():
    # One list finds its only positive at once, the other at the very end.
    lists = rank_lists(
        np.array([1, 0, 0, 1]), np.array([0.9, 0.1, 0.9, 0.1]), np.array([0, 0, 1, 1])
    )
    assert lists.gain(np.array([0, 0.25, 0.5, 1])) == pytest.approx(
        [0, 1 / 4, 1 / 2, 1]
    )


def test_lists_of_one_label_are_left_out_and_counted():
    labels, groups = np.array([1, 1, 0, 1, 0]), np.array([*"aabcc"])
    lists = rank_lists(labels, np.arange(5) / 5, groups)
    assert (len(lists), lists.num_skipped) == (1, 2)
    # No (.8), yes (.6).
    assert lists.reciprocal_rank() == pytest.approx([1 / 2])


def test_empty_rankings_are_allowed():
    lists = rank_lists(np.ones(3, int), np.ones(3), np.zeros(3))
    assert (len(lists), lists.num_skipped) == (0, 1)
    values = rank_challenges(lists) | rank_users(lists)
    assert {len(found) for found in values.values()} == {0}


def test_the_order_of_pairs_does_not_matter():
    rng = np.random.default_rng(0)
    labels, scores, groups = rng.integers(0, [[2], [4], [5]], (3, 60))
    order = rng.permutation(60)
    before = rank_users(rank_lists(labels, scores, groups))
    after = rank_users(rank_lists(labels[order], scores[order], groups[order]))
    for name, values in before.items():
        np.testing.assert_allclose(values, after[name])
