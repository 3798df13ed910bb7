import numpy as np
import pytest

from dc_keras.context.fold_data import Evidence
from dc_keras.context.label_features import joins_and_pairs, mean_rate, popularity
from dc_keras.context.post_features import read_facts
from dc_keras.study.temporal import join_cutoffs

# Users 0 and 1 train on challenges 0 and 1 (three of four joined); user 2 and
# challenge 2 are in other pairs only.
_LABELS = [[1, 1, 1], [0, 1, None], [1, None, 0]]
_TRAIN = np.array([0, 1, 3, 4])


def test_mean_rate_is_of_training_pairs(make_evidence):
    assert mean_rate(make_evidence(_LABELS), _TRAIN) == 0.75


def test_popularity_is_the_challenges_rate_shrunk_by_four_pairs_to_the_mean(
    make_evidence,
):
    # (1 + 4·.75) / (2 + 4), (2 + 3) / 6, and the mean for what was never seen.
    rates = popularity(make_evidence(_LABELS), _TRAIN)
    assert rates == pytest.approx([4 / 6, 5 / 6, 0.75])


def test_popularity_counts_the_pool_too(make_evidence):
    evidence = make_evidence(
        _LABELS,
        support=[[("p", "")], [("q", ""), ("p", ""), ("p", "")], []],
        pool={"p": [], "q": []},
    )
    # (1 + 1 + 3) / (2 + 2 + 4), (2 + 2 + 3) / 8, and (0 + 0 + 3) / (0 + 2 + 4).
    assert popularity(evidence, _TRAIN) == pytest.approx([5 / 8, 7 / 8, 0.5])


def test_one_person_and_one_challenge_count_over_all_cutoffs(make_study):
    # u00 joined c0 after the first cutoff, so there is no pair at the second.
    early, videos = make_study([[1, 0], [0, 1]])
    late, _ = make_study([[None, 1], [0, 0]])
    grid = join_cutoffs([early, late, late], [1, 2, 3])
    evidence = Evidence.of(grid, read_facts(videos, grid))
    # Training are the first two cutoffs: seven pairs, three of them joined.
    train = np.arange(7)
    # c0: 1 of 3, (1 + 4·3/7) / 7 = 19/49; c1: 2 of 4, (2 + 12/7) / 8 = 26/56.
    assert popularity(evidence, train) == pytest.approx([19 / 49, 26 / 56] * 3)
    # u00: 2 of 3, u01: 1 of 4.
    joins, count = joins_and_pairs(evidence, train)
    assert joins.tolist() == [2, 1] * 3
    assert count.tolist() == [3, 4] * 3


def test_one_challenge_is_enough(make_evidence):
    evidence, train = make_evidence([[1], [0], [1]]), np.array([0, 1])
    # (1 + 4·.5) / (2 + 4).
    assert popularity(evidence, train) == pytest.approx([0.5])
