import warnings

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.context.post_vectors import FACTS, UNKNOWN
from dc_keras.context.set_vectors import HABITS, SetLayout, join_posts

_LAYOUT = SetLayout((3, 2, 0), 4)


def _posts(rng, num_sets, num_posts, known):
    """Vectors of posts, some of whose facts are unknown, and whether they are there."""
    shape = (num_sets, num_posts)
    facts = np.stack(
        [
            rng.uniform(-50, 50, shape),
            rng.uniform(3, 60, shape),
            *rng.integers(0, 1000, (4, *shape)),
            rng.integers(0, 3, shape),
            rng.integers(0, 2, shape),
        ],
        axis=2,
    )
    facts[rng.random(facts.shape) > known] = np.nan
    vectors = rng.normal(size=(*shape, _LAYOUT.taste))
    posts = np.concatenate([vectors, facts], axis=2)
    return posts, rng.random(shape) < 0.8


def _joined(posts, valid):
    filled = np.where(np.isnan(posts), UNKNOWN, posts)
    joined = join_posts(_LAYOUT, tf.constant(filled, tf.float32), tf.constant(valid))
    return np.where(joined.numpy() < UNKNOWN / 2, np.nan, joined.numpy())


def _habits(facts):
    """The habits of one set, from `FACTS` of its posts, by NumPy."""
    day, duration, views, likes, comments, shares, tags, original = facts.T
    without_tags = np.where(np.isnan(tags), np.nan, tags == 0)
    with warnings.catch_warnings():
        # NumPy warns of sets without known values.
        warnings.simplefilter("ignore", RuntimeWarning)
        return [
            np.log1p(np.nanmedian(views)) if len(views) else np.nan,
            np.log1p(np.nanmedian(likes)) if len(views) else np.nan,
            np.nanmedian(likes / np.maximum(views, 1)),
            np.nanmedian(comments / np.maximum(likes, 1)),
            np.nanmedian(shares / np.maximum(likes, 1)),
            np.nanmedian(duration),
            np.nanstd(duration),
            np.nanmean(tags),
            np.nanmean(without_tags),
            np.nanmean(original),
            np.log1p(np.nanmax(day) - np.nanmin(day)) if len(day) else np.nan,
        ]


@pytest.mark.parametrize("known", [1.0, 0.6, 0.1, 0.0])
@pytest.mark.parametrize("num_posts", [1, 3, 4])
def test_habits_are_those_of_numpy(known, num_posts):
    posts, valid = _posts(np.random.default_rng(num_posts), 40, num_posts, known)
    found = _LAYOUT.part(_joined(posts, valid), "habits")
    expected = [
        _habits(row[there][:, _LAYOUT.taste :])
        for row, there in zip(posts, valid, strict=True)
    ]
    assert found.shape == (40, len(HABITS))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("num_posts", [1, 4])
def test_blocks_are_means_of_unit_length(num_posts):
    posts, valid = _posts(np.random.default_rng(0), 20, num_posts, 0.8)
    joined = _joined(posts, valid)
    for name, columns in (("topics", slice(0, 3)), ("captions", slice(3, 5))):
        for row, there, found in zip(
            posts, valid, _LAYOUT.part(joined, name), strict=True
        ):
            mean = row[there][:, columns].sum(axis=0)
            expected = mean / max(np.linalg.norm(mean), 1e-9)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_days_ascend_with_unknown_ones_last():
    posts, valid = _posts(np.random.default_rng(1), 30, 3, 0.5)
    joined = _joined(posts, valid)
    days = np.where(valid, posts[:, :, _LAYOUT.taste], np.nan)
    expected = np.pad(np.sort(days, axis=1), ((0, 0), (0, 1)), constant_values=np.nan)
    np.testing.assert_allclose(_LAYOUT.part(joined, "days"), expected, rtol=1e-6)
    num_posts = _LAYOUT.part(joined, "num_posts")
    np.testing.assert_array_equal(num_posts[:, 0], valid.sum(axis=1))


def test_padding_changes_nothing():
    rng = np.random.default_rng(2)
    posts, valid = _posts(rng, 10, 3, 0.8)
    junk = np.concatenate([posts, rng.normal(size=(10, 1, posts.shape[2]))], axis=1)
    padded = np.concatenate([valid, np.zeros((10, 1), bool)], axis=1)
    np.testing.assert_allclose(_joined(posts, valid), _joined(junk, padded), rtol=1e-6)


def test_empty_set_is_unknown():
    posts = np.ones((2, 4, _LAYOUT.taste + len(FACTS)))
    joined = _joined(posts, np.zeros((2, 4), bool))
    assert not joined[:, : _LAYOUT.taste].any()
    assert np.isnan(_LAYOUT.part(joined, "habits")).all()
    assert np.isnan(_LAYOUT.part(joined, "days")).all()
    assert not _LAYOUT.part(joined, "num_posts").any()


def test_a_set_has_its_vector_in_a_graph_of_unknown_shapes_too():
    posts, valid = _posts(np.random.default_rng(3), 5, 4, 0.7)
    filled = np.where(np.isnan(posts), UNKNOWN, posts).astype(np.float32)
    width = posts.shape[2]
    join = tf.function(
        lambda posts, valid: join_posts(_LAYOUT, posts, valid),
        input_signature=(
            tf.TensorSpec((None, None, width), tf.float32),
            tf.TensorSpec((None, None), tf.bool),
        ),
    )
    eager = join_posts(_LAYOUT, tf.constant(filled), tf.constant(valid))
    np.testing.assert_allclose(join(filled, valid), eager, rtol=1e-5)
