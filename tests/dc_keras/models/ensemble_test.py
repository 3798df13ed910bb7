import keras
import numpy as np
import pytest

from dc_keras.models.ensemble import dense, drop_units, normalize, probability


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def _vectors(copies, dim=5):
    shape = (7, dim) if copies is None else (7, copies, dim)
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _dense(copies, dim, units, activation=None):
    x = keras.Input(_vectors(copies, dim).shape[1:])
    return keras.Model(x, dense([x], units, copies, "dense", activation))


def test_copies_start_as_widely_as_a_network_alone():
    # Glorot uniform: within the root of 6 / (inputs + outputs), whatever the copies.
    limit = np.sqrt(6 / (300 + 200))
    for copies in (None, 4):
        kernel, bias = _dense(copies, 300, 200).get_weights()
        assert limit * 0.99 < np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert np.abs(kernel).mean() == pytest.approx(limit / 2, rel=0.02)
        assert not bias.any()


def test_a_copy_of_a_layer_computes_what_the_layer_does():
    vectors = _vectors(3)
    copies, alone = _dense(3, 5, 4, "relu"), _dense(None, 5, 4, "relu")
    alone.set_weights([weight[2] for weight in copies.get_weights()])
    np.testing.assert_allclose(
        copies(vectors)[:, 2], alone(vectors[:, 2]), rtol=1e-5, atol=1e-6
    )


def test_each_copy_has_a_scale_of_its_own():
    vectors = _vectors(2)
    x = keras.Input(vectors.shape[1:])
    copies = keras.Model(x, normalize(x, 2, "norm"))
    assert sum(w.size for w in copies.get_weights()) == 2 * 2 * 5
    scale, _ = copies.get_layer("norm_scale").get_weights()
    scale[1] *= 3.0
    copies.get_layer("norm_scale").gamma.assign(scale)
    usual = keras.layers.LayerNormalization()
    np.testing.assert_allclose(copies(vectors)[:, 0], usual(vectors[:, 0]), atol=1e-5)
    np.testing.assert_allclose(
        copies(vectors)[:, 1], 3 * usual(vectors[:, 1]), atol=1e-5
    )


def test_what_all_see_and_what_each_sees_are_joined():
    shared, own = _vectors(None, 4), _vectors(3, 5)
    inputs = [keras.Input(vectors.shape[1:]) for vectors in (shared, own)]
    copies = keras.Model(inputs, dense(inputs, 2, 3, "dense"))
    joined = np.concatenate([np.stack([shared] * 3, axis=1), own], axis=2)
    kernel, bias = copies.get_weights()
    assert kernel.shape == (3, 9, 2)
    expected = np.einsum("bkd,kdu->bku", joined, kernel) + bias
    np.testing.assert_allclose(copies([shared, own]), expected, atol=1e-5)


def test_copies_drop_the_same_units():
    vectors = np.ones((50, 3, 8), np.float32)
    x = keras.Input(vectors.shape[1:])
    dropped = keras.Model(x, drop_units(x, 0.5, 3, "drop"))(vectors, training=True)
    dropped = np.asarray(dropped)
    np.testing.assert_array_equal(dropped, np.repeat(dropped[:, :1], 3, axis=1))
    assert 0.3 < np.mean(dropped == 0) < 0.7


@pytest.mark.parametrize(("copies", "shape"), [(None, (7,)), (3, (7, 3)), (1, (7, 1))])
def test_probabilities_have_an_axis_of_copies_where_there_are_any(copies, shape):
    vectors = _vectors(copies)
    x = keras.Input(vectors.shape[1:])
    outputs = keras.Model(x, probability([x], copies))(vectors).numpy()
    assert outputs.shape == shape
    assert ((outputs > 0) & (outputs < 1)).all()
