import numpy as np
import pytest
import tensorflow as tf

from dc_keras.context.post_features import PostInputs
from dc_keras.context.post_vectors import FACTS, UNKNOWN, embed_posts, fit_space

_DAY = 86_400
_START = 18_518 * _DAY


def _inputs(captions, **columns):
    count = len(captions)
    return PostInputs(
        captions=np.array([caption.encode() for caption in captions], object),
        **{
            "sounds": np.full(count, b"", object),
            "sound_titles": np.full(count, b"", object),
            "create_times": np.full(count, -1),
            "durations": np.full(count, -1, np.float32),
            "counts": np.full((count, 4), -1, np.float32),
            **columns,
        },
    )


def _each(count):
    return [np.array([row]) for row in range(count)]


def _cosines(vectors):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-9)
    return unit @ unit.T


def test_topics_follow_co_occurring_terms(monkeypatch):
    monkeypatch.setattr("dc_keras.context.post_vectors.NUM_TOPICS", 2)
    captions = ["cat dog", "dog cat pet", "cat pet", "sun sea", "sea sand", "sand sun"]
    posts = _inputs([*captions, "pet", "sand", "unheard", ""])
    space = fit_space(posts, None, None, _each(6))
    topics = embed_posts(space, posts, None, None)[:, : space.widths[0]]
    cosines = _cosines(topics)
    assert cosines[6, :3].min() > 0.5 > 0.1 > np.abs(cosines[6, 3:6]).max()
    assert cosines[7, 3:6].max() > 0.5 > 0.1 > np.abs(cosines[7, :3]).max()
    assert not topics[8:].any()


def test_terms_of_a_single_user_have_no_weight():
    posts = _inputs(["own own", "shared own", "shared", "own"])
    space = fit_space(posts, None, None, [np.array([0, 1]), np.array([2])])
    topics = embed_posts(space, posts, None, None)[:, : space.widths[0]]
    assert not topics[[0, 3]].any()


@pytest.mark.parametrize("captions", [[], ["", ""], ["one", "two"]])
def test_without_a_shared_term_there_are_no_topics(captions):
    posts = _inputs(captions)
    space = fit_space(posts, None, None, _each(len(captions)))
    vectors = embed_posts(space, posts, None, None)
    assert vectors.shape == (len(captions), space.width)
    assert not vectors[:, : space.widths[0]].any()


@pytest.mark.parametrize("side", ["captions", "frames"])
def test_directions_keep_the_distances_between_users(side):
    vectors = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    vectors[3] = 0.0
    posts = _inputs([""] * 9)
    given = (vectors, None) if side == "captions" else (None, vectors)
    space = fit_space(posts, *given, _each(9))
    block = embed_posts(space, posts, *given)[:, space.widths[0] : -len(FACTS)]
    assert block.shape == (9, 4)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    known = np.delete(np.arange(9), 3)
    centred = unit[known] - unit[known].mean(axis=0)
    # Four of four directions are a rotation.
    np.testing.assert_allclose(
        block[known] @ block[known].T, centred @ centred.T, atol=1e-5
    )
    assert not block[3].any()


def test_a_few_users_have_fewer_directions_than_there_are_of_them():
    vectors = np.random.default_rng(0).normal(size=(3, 9)).astype(np.float32)
    for count, width in ((3, 2), (2, 1), (1, 1), (0, 1)):
        space = fit_space(_inputs([""] * 3), vectors, None, _each(3)[:count])
        assert space.widths[1:] == (width, 0)


def test_facts_are_as_given_or_unknown():
    posts = _inputs(
        ["a #b #c", ""],
        sounds=np.array([b"7", b""], object),
        sound_titles=np.array([b"original sound", b""], object),
        create_times=np.array([_START + _DAY // 4, -1]),
        durations=np.array([2.5, -1], np.float32),
        counts=np.array([[9, 4, 0, -1], [-1] * 4], np.float32),
    )
    space = fit_space(posts, None, None, _each(2))
    facts = embed_posts(space, posts, None, None)[:, -len(FACTS) :]
    np.testing.assert_array_equal(facts[0], [0.25, 2.5, 9, 4, 0, UNKNOWN, 2, 1])
    np.testing.assert_array_equal(facts[1], [*[UNKNOWN] * 6, 0, UNKNOWN])


def test_days_are_exact_to_float32_precision():
    times = _START - np.random.default_rng(0).integers(0, 3000 * _DAY, 200)
    posts = _inputs([""] * 201, create_times=np.array([*times, _START]))
    space = fit_space(posts, None, None, [np.arange(201)])
    days = space.day_of(tf.constant(times)).numpy()
    expected = (times - _START) / _DAY
    assert (np.abs(days - expected) <= np.spacing(np.abs(days)) + 1e-7).all()
    # To a second within four months of the last post.
    near = _START - np.arange(0, 120 * _DAY, 99_991)
    found = space.day_of(tf.constant(near)).numpy().astype(np.float64) * _DAY
    np.testing.assert_allclose(found, near - _START, atol=1.0)
    assert space.day_of(tf.constant([-1], tf.int64)).numpy() == np.float32(UNKNOWN)


def test_posts_outside_the_training_sets_do_not_change_the_fit():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 3)).astype(np.float32)
    one, two = (
        fit_space(
            _inputs(["a b", "b a", "a", "b", other, other]),
            np.concatenate([vectors[:4], vectors[4:] * scale]),
            None,
            _each(4),
        )
        for other, scale in (("a b", 1.0), ("c d", -1.0))
    )
    for name, value in one.weights.items():
        np.testing.assert_array_equal(value, two.weights[name])
