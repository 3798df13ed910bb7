from dataclasses import replace

import keras
import numpy as np
import pytest

from dc_keras.models.deep_challenger import HEAD, USER_REPRESENTATION
from dc_keras.models.paper_baselines import POOL_VIDEOS, UserBaseline
from dc_keras.models.pooling import standardizer
from dc_keras.options import POOLINGS, ModelOptions

_PLAIN = ModelOptions(
    user_pooling="concat", standardize=False, layer_norm=False, hidden_dim=5
)


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _pairs():
    """Six users with one to three posts, each asked about another of two challenges."""
    rng = np.random.default_rng(3)
    valid = np.arange(3) < np.array([3, 2, 1, 3, 2, 1])[:, None]
    posts = rng.normal(size=(6, 3, 4)) * valid[..., None]
    return {
        "user": posts.astype(np.float32),
        "user_valid": valid,
        "challenge": np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 1]],
    }


def _build(options):
    return UserBaseline(3, 4, 2, **options.to_dict())


def _network(model):
    return model.get_layer(USER_REPRESENTATION)


def _answers(model, x, dense):
    network = _network(model)
    logits = dense(network, "logits", np.maximum(dense(network, "dense", x), 0.0))
    return 1.0 / (1.0 + np.exp(-logits))


def test_each_challenge_has_a_sigmoid_of_its_own(dense):
    model, pairs = _build(_PLAIN), _pairs()
    answers = _answers(model, pairs["user"].reshape(6, 12), dense)
    picked = answers[np.arange(6), [0, 1, 0, 1, 0, 1]]
    np.testing.assert_allclose(model(pairs), picked, atol=1e-6)
    assert model.output.shape == (None,)


@pytest.mark.parametrize(
    ("pooling", "width"),
    [("concat", 12), ("mean", 4), ("mean_std", 8), ("attention", 4)],
)
def test_user_pooling_decides_how_posts_are_joined(pooling, width):
    model = _build(replace(_PLAIN, user_pooling=pooling))
    layer = _network(model).get_layer(POOL_VIDEOS)
    assert layer.mode == pooling
    assert layer.output.shape == (None, width)


def test_standardized_padding_stays_zero_in_a_concatenation(dense):
    model = _build(replace(_PLAIN, standardize=True))
    moments = np.full(4, 0.5, np.float32)
    standardizer(_network(model), POOL_VIDEOS).set_moments(moments, 4 * moments)
    pairs = _pairs()
    posts = (pairs["user"] - 0.5) / 2.0 * pairs["user_valid"][..., None]
    answers = _answers(model, posts.reshape(6, 12), dense)
    picked = answers[np.arange(6), [0, 1, 0, 1, 0, 1]]
    np.testing.assert_allclose(model(pairs), picked, atol=1e-6)


def test_options_decide_width_norm_and_dropout():
    options = ModelOptions(hidden_dim=9, dropout=0.4, layer_norm=True)
    network = _network(_build(options))
    assert network.get_layer("dense").units == 9
    assert network.get_layer("dropout").rate == 0.4
    assert network.get_layer("dense_norm").output.shape == (None, 9)
    assert "dense_norm" not in {layer.name for layer in _network(_build(_PLAIN)).layers}


def test_the_head_scores_what_represents_users():
    model, pairs = _build(_PLAIN), _pairs()
    x_u = model.represent_users(pairs["user"], pairs["user_valid"])
    assert x_u.shape == (6, 2)
    scores = model.get_layer(HEAD)([pairs["challenge"], np.asarray(x_u)])
    np.testing.assert_allclose(model(pairs), scores, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_baseline_survives_a_file(pooling, check_round_trip):
    options = ModelOptions(user_pooling=pooling, hidden_dim=5)
    check_round_trip(_build(options), _pairs())
