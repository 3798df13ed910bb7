from dataclasses import replace

import numpy as np
import pytest

from dc_keras.context import tfidf_baselines
from dc_keras.context.fold_data import Evidence
from dc_keras.context.post_features import read_facts
from dc_keras.context.tfidf_baselines import (
    TextSpace,
    caption_cosine,
    caption_neighbours,
    cosine,
    one_vs_rest,
)
from dc_keras.study.temporal import join_cutoffs

# Two users write x and join c0, two write y and do not; the others are new.
_LABELS = [[1, 0], [1, 0], [0, 0], [0, 0], [1, 1], [1, 1], [0, 0]]
_HISTORIES = [["x"], ["x"], ["y"], ["y"], ["x y"], ["x z"], []]
_TRAIN = np.arange(8)


@pytest.fixture
def evidence(make_evidence):
    return make_evidence(
        _LABELS,
        histories=_HISTORIES,
        support=[[("p", "x y")], []],
    )


def test_vectors_are_tfidf_of_terms_that_two_training_users_share(evidence):
    space = TextSpace.of(evidence, _TRAIN)
    half = np.sqrt(0.5)
    # x and y are in two of four documents each, so their weights are equal; z is new.
    np.testing.assert_allclose(
        space.users.toarray(),
        [[1, 0], [1, 0], [0, 1], [0, 1], [half, half], [1, 0], [0, 0]],
    )
    np.testing.assert_allclose(space.challenges.toarray(), [[half, half], [0, 0]])


def test_terms_come_from_training_users_and_the_pool_alone(make_evidence):
    evidence = make_evidence(
        [[1], [0], [1], [1]],
        histories=[["a"], ["a"], ["b c"], ["b"]],
        pool={"p": ["c"], "q": ["c"]},
    )
    space = TextSpace.of(evidence, np.array([0, 1]))
    # b is a term of two users outside training; c of two users of the pool.
    np.testing.assert_array_equal(
        space.users.toarray(), [[1, 0], [1, 0], [0, 1], [0, 0]]
    )


def test_a_repeated_term_counts_by_its_logarithm(make_evidence):
    evidence = make_evidence([[1], [0], [1]], histories=[["x y"], ["x y"], ["x x x y"]])
    vector = TextSpace.of(evidence, np.array([0, 1])).users.toarray()[2]
    # 1 + ln 3 times the weight of y.
    assert vector[0] / vector[1] == pytest.approx(1 + np.log(3))


def test_terms_of_any_script_are_terms(make_evidence):
    evidence = make_evidence([[1], [0]], histories=[["हिन्दी Été"], ["ÉTÉ हिन्दी ❤️"]])
    space = TextSpace.of(evidence, np.array([0, 1]))
    np.testing.assert_allclose(space.users.toarray(), np.full((2, 2), np.sqrt(0.5)))


def test_one_vs_rest_by_hand(evidence):
    # Rates .5 and 0: residuals ±.5 and 0. Without an intercept and over vectors of one
    # term, the weight of a term is Σ residuals / (users + 3) = ±1/5.
    scores = one_vs_rest(
        evidence, _TRAIN, TextSpace.of(evidence, _TRAIN), np.array([0.5, 0.0])
    )
    expected = [0.2, 0.2, -0.2, -0.2, 0.0, 0.2, 0.0]
    np.testing.assert_allclose(scores[:, 0], expected, atol=1e-6)
    np.testing.assert_array_equal(scores[:, 1], np.zeros(7))


def test_pairs_outside_training_have_zero_residual(evidence):
    # Without the pair of u03 and c0, y has a residual of −.5 over the same two users.
    train = np.delete(_TRAIN, 6)
    scores = one_vs_rest(
        evidence, train, TextSpace.of(evidence, train), np.array([0.5, 0.0])
    )
    assert scores[2, 0] == pytest.approx(-0.1, abs=1e-6)
    assert scores[0, 0] == pytest.approx(0.2, abs=1e-6)


def test_challenge_without_training_pairs_has_zeros(evidence):
    train = _TRAIN[::2]
    scores = one_vs_rest(
        evidence, train, TextSpace.of(evidence, train), np.array([0.25, 0.75])
    )
    assert scores[:, 0].any()
    assert not scores[:, 1].any()


def test_cosine_is_of_history_and_support(evidence):
    scores = cosine(TextSpace.of(evidence, _TRAIN))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(scores[:, 0], [half, half, half, half, 1, half, 0])
    assert not scores[:, 1].any()


@pytest.mark.parametrize("histories", [[[], []], [["one"], ["two"]]])
def test_without_a_shared_term_everything_is_zero(make_evidence, histories):
    evidence = make_evidence([[1, 0], [0, 1]], histories=histories)
    train = np.arange(4)
    space = TextSpace.of(evidence, train)
    assert space.users.nnz == space.challenges.nnz == 0
    assert not cosine(space).any()
    assert not one_vs_rest(evidence, train, space, np.array([0.5, 0.5])).any()


def test_one_challenge_keeps_its_column(make_evidence):
    evidence = make_evidence(
        [[1], [0], [0]],
        histories=[["x"], ["x"], []],
        support=[[("p", "x")]],
        pool={"p": ["x"], "q": []},
    )
    train = np.array([0, 1])
    space = TextSpace.of(evidence, train)
    for scores in (
        one_vs_rest(evidence, train, space, np.array([0.25])),
        cosine(space),
    ):
        assert scores.shape == (3, 1)


def test_only_labels_of_training_pairs_are_read(evidence):
    label = evidence.pairs.label.copy()
    label[8:] = 1 - label[8:]
    other = replace(evidence, pairs=replace(evidence.pairs, label=label))
    rates = np.array([0.5, 0.5])
    np.testing.assert_array_equal(
        *(
            one_vs_rest(same, _TRAIN, TextSpace.of(same, _TRAIN), rates)
            for same in (evidence, other)
        )
    )


def _vectors(evidence, *angles, **others):
    """Unit vectors of the posts of users u00, u01, … at some degrees, and others."""
    radians = np.deg2rad(angles)
    by_id = {
        f"u{row:02d}-00": pair
        for row, pair in enumerate(np.stack([np.cos(radians), np.sin(radians)], axis=1))
    }
    by_id |= {f"{name}-00": vector for name, vector in others.items()}
    ids = evidence.facts.video_ids
    return np.array([by_id.get(v, [0.0, 0.0]) for v in ids], np.float32)


def _one_post_each(count):
    return [[""]] * count


def test_share_of_the_nearest_training_users(make_evidence, monkeypatch):
    monkeypatch.setattr(tfidf_baselines, "NUM_NEIGHBOURS", 2)
    evidence = make_evidence(
        [[1, 0], [1, 1], [0, 0], [0, None], [1, 1]],
        histories=_one_post_each(5),
    )
    vectors = _vectors(evidence, 0, 10, 50, 60, 20)
    # u04 is no training user. u00: u01 and u02; u01: u00 and u02; u02: u03 and u01;
    # u03: u02 and u01; u04: u01 and u00. u03 counts as 1/3 for c1, the challenge's mean.
    np.testing.assert_allclose(
        caption_neighbours(evidence, vectors, np.arange(7)),
        [[0.5, 0.5], [0.5, 0], [0.5, 2 / 3], [0.5, 0.5], [1, 0.5]],
    )


def test_users_are_not_their_own_neighbours(make_evidence):
    evidence = make_evidence(
        [[1, 0], [1, 1], [0, 0], [0, 1]],
        histories=_one_post_each(4),
    )
    vectors = _vectors(evidence, 0, 10, 50, 60)
    # Three training users: the two others for each of them, and all three for a new user.
    np.testing.assert_allclose(
        caption_neighbours(evidence, vectors, np.arange(6)),
        [[0.5, 0.5], [0.5, 0], [1, 0.5], [2 / 3, 1 / 3]],
    )


def test_user_without_neighbours_has_the_mean_of_the_challenge(make_evidence):
    evidence = make_evidence([[1, 0], [0, 1]], histories=_one_post_each(2))
    vectors = _vectors(evidence, 0, 10)
    # u00 is the only training user: nobody for u00, u00 for u01.
    np.testing.assert_array_equal(
        caption_neighbours(evidence, vectors, np.arange(2)), [[1, 0], [1, 0]]
    )


def test_person_is_no_neighbour_at_another_cutoff(make_study):
    early, videos = make_study([[1], [0]], histories=_one_post_each(2))
    late, _ = make_study([[0], [1]], histories=_one_post_each(2))
    grid = join_cutoffs([early, late], [1, 2])
    evidence = Evidence.of(grid, read_facts(videos, grid))
    # Rows u00, u01, u00, u01, the first three with a training label: 1, 0, 0. For u00
    # there is the row of u01 alone, for u01 the two of u00.
    shares = caption_neighbours(evidence, _vectors(evidence, 0, 10), np.arange(3))
    np.testing.assert_array_equal(shares[:, 0], [0, 0.5, 0, 0.5])


def test_without_captions_there_are_no_neighbours(make_evidence):
    evidence = make_evidence([[1, 0], [0, 1]])
    assert not caption_neighbours(evidence, None, np.arange(4)).any()
    np.testing.assert_array_equal(caption_cosine(evidence, None), np.zeros((2, 2)))


def test_caption_cosine_by_hand(make_evidence):
    evidence = make_evidence(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        histories=[[""], [""], []],
        support=[[("p", "")], [("p", "")], []],
    )
    vectors = _vectors(evidence, 0, 90, c0=[3.0, 4.0], c1=[-2.0, 0.0])
    np.testing.assert_allclose(
        caption_cosine(evidence, vectors),
        [[0.6, -1, 0], [0.8, 0, 0], [0, 0, 0]],
        atol=1e-7,
    )
