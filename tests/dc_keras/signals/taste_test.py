import numpy as np
import pytest

from dc_keras.signals.taste import TasteSpace, taste
from dc_keras.signals.text import TextSpace

_HISTORIES = [["dance salsa"], ["dance tango"], ["cats purr"], ["cats meow"]]
_POOL = {"p": ["dance salsa tango"], "q": ["cats purr meow"]}
_SUPPORT = [[("p", "dance")], [("q", "cats")]]
# Users 0 and 1 dance; the last of each kind is asked about.
_LABELS = [[1, 0], [None, None], [0, 1], [None, None]]


def _space(evidence, train):
    return TasteSpace.of(evidence, train, TextSpace.of(evidence, train))


@pytest.fixture
def evidence(make_evidence):
    return make_evidence(_LABELS, _HISTORIES, _SUPPORT, _POOL)


def test_taste_moves_newcomers_to_what_others_of_their_taste_joined(evidence):
    train = np.arange(4)
    scores = taste(evidence, train, _space(evidence, train), np.array([0.5, 0.5]))
    assert scores.shape == (4, 2)
    assert scores[1, 0] > 0 > scores[1, 1]
    assert scores[3, 1] > 0 > scores[3, 0]


def test_a_challenge_without_training_pairs_is_learned_from_the_pool_alone(evidence):
    train = np.array([0, 2])  # both pairs of the first challenge
    assert set(evidence.pairs.challenge[train]) == {0}
    rates = np.array([0.5, 0.5])
    space = _space(evidence, train)
    scores = taste(evidence, train, space, rates)
    alone = taste(evidence, train[:0], space, rates)
    np.testing.assert_allclose(scores[:, 1], alone[:, 1])
    assert np.abs(scores[:, 0] - alone[:, 0]).max() > 1e-3


def test_without_words_captions_or_a_pool_there_is_no_taste(make_evidence):
    evidence = make_evidence([[1, 0], [0, 1], [1, 1]])
    train = np.arange(4)
    space = _space(evidence, train)
    scores = taste(evidence, train, space, np.array([0.5, 0.5]))
    np.testing.assert_array_equal(scores, 0.0)
    np.testing.assert_array_equal(space.cosines["text/topic_cosine"], 0.0)


def test_cosines_know_who_is_near_what(make_evidence):
    rng = np.random.default_rng(0)
    centre = rng.normal(size=8)

    def near(topic):
        return (centre + 0.5 * np.eye(8)[topic]).astype(np.float32)

    topics = {"u00": 0, "u01": 0, "u02": 1, "u03": 1, "p": 0, "q": 1, "c0": 0, "c1": 1}
    vectors = {f"{name}-00": near(topic) for name, topic in topics.items()}
    evidence = make_evidence(
        _LABELS, _HISTORIES, _SUPPORT, _POOL, captions=vectors, frames={"net": vectors}
    )
    cosines = _space(evidence, np.arange(4)).cosines
    for name in ("text/topic_cosine", "text/centred_caption_cosine"):
        assert (np.argmax(cosines[name], axis=1) == [0, 0, 1, 1]).all(), name
    # What all have in common is taken out, so that the cosines differ widely.
    frames = cosines["frames/net_cosine"]
    assert frames[0, 0] > 0.9
    assert frames[0, 1] < -0.9
