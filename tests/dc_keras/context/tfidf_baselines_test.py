from dataclasses import replace

import numpy as np
import pytest

from dc_keras.context.tfidf_baselines import TextSpace, cosine, one_vs_rest

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
