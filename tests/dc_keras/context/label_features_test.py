from dataclasses import replace

import numpy as np
import pytest

from dc_keras.context.fold_data import Evidence
from dc_keras.context.label_features import learn_labels
from dc_keras.context.post_features import read_facts
from dc_keras.study.temporal import join_cutoffs


def _learn(evidence, rows, users=None, pool=None):
    """Learns from labels with given tastes."""
    count = len(evidence.person)
    users = np.zeros((count, 2)) if users is None else np.array(users, float)
    pool = np.zeros((len(evidence.pool_joined), 2)) if pool is None else np.array(pool)
    return learn_labels(evidence, np.asarray(rows), users, pool)


def _ease_scores(labels):
    return labels.joined[:, 1:] @ labels.ease.T


def test_other_joins_by_hand(make_evidence):
    # Two joined both, one c0 alone: YᵀY + 20 I = [[23, 2], [2, 22]], whose inverse is
    # [[22, −2], [−2, 23]] over its determinant, hence B = [[0, 2/23], [2/22, 0]].
    evidence = make_evidence([[1, 1], [1, 1], [1, 0], [0, 0], [1, 1]])
    labels = _learn(evidence, np.arange(8))
    both, first = [1 / 11, 2 / 23], [0, 2 / 23]
    np.testing.assert_allclose(
        _ease_scores(labels), [both, both, first, [0, 0], [0, 0]]
    )
    # The last user has no training pair, so their joins are unknown.
    np.testing.assert_array_equal(
        labels.joined, [[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]]
    )


def test_joins_are_in_the_order_of_the_challenges(make_evidence):
    # Topics are numbered in order of name; a bundle uses the order of the study.
    evidence = make_evidence([[1, 1], [1, 1], [1, 0], [0, 0], [1, 1]])
    other_names = replace(evidence, topic=1 - evidence.topic)
    labels, others = (
        _learn(of_names, np.arange(8)) for of_names in (evidence, other_names)
    )
    np.testing.assert_array_equal(others.joined, labels.joined)
    np.testing.assert_allclose(others.ease, labels.ease)


def test_other_joins_count_the_pool(make_evidence):
    evidence = make_evidence(
        [[1, 1], [1, 1], [1, 0], [0, 0]],
        support=[[("p", "")], [("p", "")]],
        pool={"p": []},
    )
    # YᵀY + 20 I = [[24, 3], [3, 23]], inverse [[23, −3], [−3, 24]] over its
    # determinant: who joined c0 alone has 3/24 for c1.
    scores = _ease_scores(_learn(evidence, np.arange(8)))
    assert scores[2] == pytest.approx([0, 3 / 24])


def test_ease_has_a_zero_diagonal(make_evidence):
    labels = _learn(make_evidence([[1], [1], [0]]), np.arange(3))
    np.testing.assert_array_equal(labels.ease, [[0]])


def test_the_rows_of_a_person_have_the_same_joins(make_study):
    early, videos = make_study([[1, 0], [1, 1]])
    late, _ = make_study([[None, 1], [None, None]])
    grid = join_cutoffs([early, late], [1, 2])
    evidence = Evidence.of(grid, read_facts(videos, grid))
    # By the second cutoff both have joined both: YᵀY + 20 I = [[22, 2], [2, 22]].
    scores = _ease_scores(_learn(evidence, np.arange(5)))
    np.testing.assert_allclose(scores, np.full((4, 4), 2 / 22))


def test_taste_by_hand(make_evidence):
    evidence = make_evidence([[1, 0], [1, 0], [0, 0], [0, 0]])
    tastes = [[1, 0], [1, 0], [0, 1], [0, 1]]
    labels = _learn(evidence, np.arange(8), tastes)
    # c0: the mean is 1/4, the rate (2 + 4/4) / (4 + 4) = 3/8: residuals 5/8 and −3/8,
    # weights their sums over (2 + 3). c1: the rate 1/8, residuals −1/8.
    np.testing.assert_allclose(
        labels.taste, [[1.25 / 5, -0.75 / 5], [-0.25 / 5, -0.25 / 5]]
    )


def test_taste_of_a_new_challenge_comes_from_the_pool(make_evidence):
    evidence = make_evidence(
        [[1, None], [0, None], [None, 1]],
        support=[[], [("p", ""), ("q", "")]],
        pool={"p": [], "q": [], "r": [], "s": []},
    )
    labels = _learn(
        evidence, [0, 1], np.eye(2)[[0, 1, 0]], [[1, 0], [1, 0], [0, 1], [0, 1]]
    )
    # Half of the pool describe c1: residuals ±1/2, weights ±1 over (2 + 3).
    np.testing.assert_allclose(labels.taste[1], [0.2, -0.2])


def test_without_a_pool_a_new_challenge_has_no_taste(make_evidence):
    evidence = make_evidence([[1, None], [0, None], [None, 1]])
    labels = _learn(evidence, [0, 1], np.eye(2)[[0, 1, 0]])
    assert not labels.taste[1].any()
    assert labels.taste[0].any()


def test_propensity_is_a_ridge_regression_of_rates(make_evidence):
    evidence = make_evidence([[1, 1], [1, 1], [0, 0], [0, 0], [1, None]])
    tastes = [[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]]
    labels = _learn(evidence, np.arange(8), tastes)
    # Mean 1/2, rates (2 + 4/2) / (2 + 4) = 2/3 and 1/3; with the intercept taken out,
    # the weights ±w minimise 4(1/6 − w)² + 10·2w²: w = 1/36.
    np.testing.assert_allclose(labels.propensity, [1 / 36, -1 / 36])
    assert labels.propensity_bias == pytest.approx(0.5)
    assert labels.pairs_per_user == 2.0


def test_popularity_is_the_log_odds_of_the_shrunk_rate(make_evidence):
    labels = _learn(make_evidence([[1, 0], [0, 0], [1, 1]]), np.arange(4))
    # The mean is 1/4: (1 + 4/4) / (2 + 4) and (0 + 4/4) / (2 + 4).
    expected = [np.log((1 / 3) / (2 / 3)), np.log((1 / 6) / (5 / 6))]
    np.testing.assert_allclose(labels.popularity, expected, rtol=1e-5)


def test_only_labels_of_the_given_pairs_are_read(make_evidence):
    tastes = np.eye(2)[[0, 1, 0]]
    one, two = (
        _learn(make_evidence([[1, 0], [0, 1], last]), np.arange(4), tastes)
        for last in ([1, 1], [0, 0])
    )
    for name in ("popularity", "taste", "ease", "propensity", "joined"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
