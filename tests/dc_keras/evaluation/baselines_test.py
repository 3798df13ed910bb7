from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dc_keras.corpus.pairs import Pairs, grid_pairs
from dc_keras.evaluation.baselines import (
    SIMPLE_BASELINES,
    SimpleData,
    always_yes,
    history_documents,
    popularity,
    propensity,
    propensity_popularity,
)
from dc_keras.evaluation.splits import SPLITS, Fold, make_folds

# Users 0 and 1 and challenges 0 and 1 are seen in training (mean label 3/5); user 2 and
# challenge 2 only in the judged pairs.
_PAIRS = Pairs(
    user=np.array([0, 0, 1, 1, 1, 0, 1, 2, 2]),
    challenge=np.array([0, 1, 0, 1, 0, 2, 2, 0, 2]),
    label=np.array([1, 1, 0, 0, 1, 1, 1, 1, 0]),
)
_FOLD = Fold(
    "random_pair", 0, np.arange(5), np.array([5]), np.arange(6, 9), frozenset()
)
_WORDLESS = SimpleData(_PAIRS, ("", " ", ""), 3)


def test_always_yes_says_one():
    np.testing.assert_array_equal(always_yes(_WORDLESS, _FOLD), np.ones(9))


def test_popularity_is_the_challenges_rate_shrunk_by_four_pairs_to_the_mean():
    # Challenge 0: 2 of 3, (2 + 4·.6) / 7 = 4.4/7; challenge 1: 1 of 2, 3.4/6;
    # challenge 2 was never seen: the mean.
    rates = np.array([4.4 / 7, 3.4 / 6, 0.6])
    assert popularity(_WORDLESS, _FOLD) == pytest.approx(rates[_PAIRS.challenge])


# User 0: 2 of 2, (2 + 4·.6) / 6; user 1: 1 of 3, (1 + 4·.6) / 7; user 2: the mean.
_RATES = np.array([4.4 / 6, 3.4 / 7, 0.6])


def test_propensity_without_a_word_is_the_users_rate_shrunk_to_the_mean():
    assert propensity(_WORDLESS, _FOLD) == pytest.approx(_RATES[_PAIRS.user])


def test_propensity_times_popularity_is_over_the_mean_rate():
    popular = np.array([4.4 / 7, 3.4 / 6, 0.6])
    expected = _RATES[_PAIRS.user] * popular[_PAIRS.challenge] / 0.6
    assert expected.max() < 1
    assert propensity_popularity(_WORDLESS, _FOLD) == pytest.approx(expected)


def test_propensity_times_popularity_ends_at_one():
    # 6 of 9 joined, all six by user 0 and in challenge 0: (6 + 4·2/3) / 10 = .87 each,
    # and .87² / (2/3) = 1.13.
    pairs = Pairs(
        user=np.repeat([0, 1], [6, 3]),
        challenge=np.repeat([0, 1], [6, 3]),
        label=np.repeat([1, 0], [6, 3]),
    )
    fold = replace(_FOLD, train=np.arange(9))
    scores = propensity_popularity(SimpleData(pairs, ("", ""), 2), fold)
    assert scores[:6].tolist() == [1.0] * 6
    # User 1 and challenge 1: (4·2/3) / 7 each.
    assert scores[6:] == pytest.approx(np.full(3, (8 / 21) ** 2 / (2 / 3)))


def test_a_newcomers_words_tell_how_readily_they_join():
    # Users 0 to 5 say either word and join everything or nothing; the others are new.
    documents = ("dance joy", "dance", "dance on", "quiet", "quiet sea", "quiet")
    user = np.repeat(np.arange(9), 2)
    label = np.repeat([1, 1, 1, 0, 0, 0, 0, 0, 0], 2)
    pairs = Pairs(user, np.tile([0, 1], 9), label)
    fold = replace(_FOLD, train=np.arange(12), test=np.arange(12, 18))
    data = SimpleData(pairs, (*documents, "dance", "quiet", "unheard"), 2)
    dancer, quiet, unknown = propensity(data, fold)[12::2]
    assert dancer > unknown > quiet
    # The rates that training users are shrunk to: (2 + 4·.5) / 6 and (4·.5) / 6.
    assert dancer == pytest.approx(2 / 3, abs=0.15)
    assert quiet == pytest.approx(1 / 3, abs=0.15)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("baseline", [*SIMPLE_BASELINES.values(), propensity])
def test_no_baseline_peeks_at_a_label_outside_training(grid, split, baseline):
    pairs = grid_pairs(grid)
    documents = tuple(f"words of {user}" for user in grid.users)
    for fold in make_folds(grid, pairs, split, 2, 0.2, 0):
        label = pairs.label.copy()
        label[fold.test] = 1 - label[fold.test]
        label[fold.valid] = 1 - label[fold.valid]
        flipped = SimpleData(replace(pairs, label=label), documents, 3)
        honest = SimpleData(pairs, documents, 3)
        np.testing.assert_array_equal(baseline(flipped, fold), baseline(honest, fold))


@pytest.mark.parametrize("baseline", SIMPLE_BASELINES.values())
def test_scores_are_probabilities_of_every_pair(grid, baseline):
    pairs = grid_pairs(grid)
    data = SimpleData(pairs, grid.users, len(grid.challenges))
    for fold in make_folds(grid, pairs, "cold_user", 3, 0.1, 0):
        scores = baseline(data, fold)
        assert scores.shape == (len(pairs),)
        assert np.all((scores >= 0) & (scores <= 1))


def test_documents_join_words_tags_and_sounds_of_the_history_alone(grid):
    grid = replace(grid, users=("a", "b"), histories=(("3", "1"), ("2",)))
    videos = pl.DataFrame(
        {
            "video_id": ["1", "2", "3", "4"],
            "caption": ["so fun", "", "hey", "a challenge"],
            "hashtags": [["x", "y"], [], ["z"], ["focal"]],
            "music_id": ["77", None, None, "88"],
            "views": [1, 2, 3, 4],
        }
    )
    first, second = history_documents(grid, videos)
    assert first.split() == ["hey", "z", "so", "fun", "x", "y", "sound_77"]
    assert second.split() == []
