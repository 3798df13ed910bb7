import numpy as np
import pytest

from dc_keras.context.evidence import Evidence
from dc_keras.context.facts import read_facts
from dc_keras.context.rates import (
    mean_rate,
    popularity,
    propensity,
    propensity_of_words,
)
from dc_keras.context.tfidf import TextSpace
from dc_keras.corpus.temporal import join_cutoffs

# Users 0 and 1 train on challenges 0 and 1 (three of four joined); user 2 and
# challenge 2 are seen in other pairs alone.
_LABELS = [[1, 1, 1], [0, 1, None], [1, None, 0]]
_TRAIN = np.array([0, 1, 3, 4])


def _words(evidence, train):
    return propensity_of_words(evidence, train, TextSpace.of(evidence, train))


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


def test_propensity_is_the_words_rate_mended_by_twenty_pairs(make_evidence):
    evidence = make_evidence(_LABELS)
    words = np.array([0.5, 0.25, 0.1])
    # (2 + 20·.5) / 22, (1 + 20·.25) / 22, and the words alone.
    assert propensity(evidence, _TRAIN, words) == pytest.approx([12 / 22, 6 / 22, 0.1])


def test_without_a_word_everyone_is_the_mean(make_evidence):
    assert _words(make_evidence(_LABELS), _TRAIN).tolist() == [0.75] * 3


def test_a_newcomers_words_tell_how_readily_they_join(make_evidence):
    evidence = make_evidence(
        [[1, 1], [1, 1], [0, 0], [0, 0], [1, 0], [1, 0], [1, 0]],
        histories=[["x"], ["x"], ["y"], ["y"], ["x"], ["y"], ["unheard"]],
    )
    # Mean .5, rates (2 + 4·.5) / 6 = 2/3 and 1/3; vectors of length 1. With the
    # intercept taken out, the weights ±w of x and y minimise 4(1/6 − w)² + 10·2w²:
    # w = 1/36.
    rates = _words(evidence, np.arange(8))
    for user, rate in enumerate([1, 1, -1, -1, 1, -1, 0]):
        assert rates[user] == pytest.approx(0.5 + rate / 36, abs=1e-6)


def test_a_rate_is_never_zero(make_evidence):
    silent, train = make_evidence([[0, 0], [0, 1]]), np.array([0, 1, 2])
    assert _words(silent, train).tolist() == [0.001, 0.001]
    speaking = make_evidence([[0, 0], [0, 1]], histories=[["x"], ["x"]])
    assert _words(speaking, train).tolist() == [0.001, 0.001]
    # (0 + 20·.001) / (2 + 20).
    assert propensity(silent, train, _words(silent, train))[0] == pytest.approx(
        0.02 / 22
    )


def test_one_person_and_one_challenge_count_over_all_cutoffs(make_study):
    # u00 joined c0 after the first cutoff, hence is no pair after the second.
    early, videos = make_study([[1, 0], [0, 1]])
    late, _ = make_study([[None, 1], [0, 0]])
    grid = join_cutoffs([early, late, late], [1, 2, 3])
    evidence = Evidence.of(grid, read_facts(videos, grid))
    # Training are the first two cutoffs: seven pairs, three of them joined.
    train = np.arange(7)
    # c0: 1 of 3, (1 + 4·3/7) / 7 = 19/49; c1: 2 of 4, (2 + 12/7) / 8 = 26/56.
    assert popularity(evidence, train) == pytest.approx([19 / 49, 26 / 56] * 3)
    # u00: 2 of 3, u01: 1 of 4.
    rates = propensity(evidence, train, np.full(6, 0.5))
    assert rates == pytest.approx([12 / 23, 11 / 24] * 3)


def test_one_challenge_is_enough(make_evidence):
    evidence, train = make_evidence([[1], [0], [1]]), np.array([0, 1])
    # (1 + 4·.5) / (2 + 4).
    assert popularity(evidence, train) == pytest.approx([0.5])
