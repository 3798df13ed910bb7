import keras
import numpy as np
import pytest

from dc_keras.encoders.vision_weights import assign_random_weights, load_weight_file
from dc_keras.errors import DataError

_FILES = ["w.h5", "w.weights.h5", "w.keras"]


def _make_network(*, filters=64, name="net", names=("conv", "conv2_3_bn", "fc")):
    conv, bn, fc = names
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(filters, 3, activation="relu", name=conv)(inputs)
    x = keras.layers.BatchNormalization(name=bn)(x)
    x = keras.layers.Dense(128, name=fc)(keras.layers.Flatten()(x))
    return keras.Model(inputs, x, name=name)


def _make_part(model, layer):
    return keras.Model(model.input, model.get_layer(layer).output, name="part")


def _save(model, path):
    save = model.save_weights if path.name.endswith(".weights.h5") else model.save
    save(path)


@pytest.fixture
def network():
    return _make_network()


def test_kernels_are_he_normal_and_the_first_takes_pixels(network):
    assign_random_weights(network, 0, 64.0)
    conv, fc = (network.get_layer(name) for name in ("conv", "fc"))
    # sqrt(2 / fan_in), over the 64 that pixels less their mean measure at first.
    first, second = np.sqrt(2 / 27) / 64, np.sqrt(2 / (6 * 6 * 64))
    np.testing.assert_allclose(np.std(conv.kernel), first, rtol=0.05)
    np.testing.assert_allclose(np.std(fc.kernel), second, rtol=0.05)
    assert abs(np.mean(fc.kernel)) < 0.01 * second
    # Normal, not uniform or cut: 4.6 % of a normal variable is beyond two deviations.
    beyond = np.abs(fc.kernel) > 2 * second
    np.testing.assert_allclose(np.mean(beyond), 0.0455, atol=0.003)


def test_biases_become_zero(network):
    layers = [network.get_layer(name) for name in ("conv", "fc")]
    for layer in layers:
        layer.bias.assign(layer.bias + 5.0)
    assign_random_weights(network, 0, 64.0)
    assert not any(np.any(layer.bias) for layer in layers)


def test_branches_of_a_residual_network_are_shrunk_at_their_end():
    network = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    assign_random_weights(network, 0, 64.0)
    gains = {
        layer.name: float(layer.gamma[0])
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    # 16 branches add up; their ends are named `conv2_block1_3_bn`.
    assert {name for name, gain in gains.items() if gain == 0.25} == {
        name for name in gains if name.endswith("_3_bn")
    }
    assert set(gains.values()) == {0.25, 1.0}


def test_equal_seeds_give_equal_weights(network):
    assign_random_weights(network, 3, 64.0)
    once = network.get_weights()
    np.random.seed(0)
    keras.utils.set_random_seed(1)
    again, other = _make_network(), _make_network()
    assign_random_weights(again, 3, 64.0)
    assign_random_weights(other, 4, 64.0)
    for ours, same in zip(once, again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, same)
    assert not np.array_equal(once[0], other.get_weights()[0])


def test_no_global_random_state_is_moved(network):
    keras.utils.set_random_seed(5)
    expected = np.random.random()
    keras.utils.set_random_seed(5)
    assign_random_weights(network, 0, 64.0)
    assert np.random.random() == expected


@pytest.mark.parametrize("file", _FILES)
def test_every_kind_of_file_is_loaded_whole(network, tmp_path, file):
    assign_random_weights(network, 0, 64.0)
    _save(network, tmp_path / file)
    loaded = _make_network()
    load_weight_file(loaded, str(tmp_path / file))
    for ours, theirs in zip(loaded.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("file", _FILES)
def test_layers_above_the_model_may_be_in_the_file(network, tmp_path, file):
    _save(network, tmp_path / file)
    part = _make_part(_make_network(), "conv2_3_bn")
    load_weight_file(part, str(tmp_path / file))
    kernel = network.get_layer("conv").kernel
    np.testing.assert_array_equal(part.get_layer("conv").kernel, kernel)


def test_a_missing_file_is_refused(network, tmp_path):
    message = r"imagenet, random, or a \.h5.*'.*/none\.h5' \(no such file\)"
    with pytest.raises(DataError, match=message):
        load_weight_file(network, str(tmp_path / "none.h5"))
    with pytest.raises(DataError, match="no such file"):
        load_weight_file(network, str(tmp_path))


@pytest.mark.parametrize("file", [*_FILES, "w.npz"])
def test_a_file_that_cannot_be_read_is_refused(network, tmp_path, file):
    (tmp_path / file).write_bytes(b"no weights")
    message = rf"must match the network net and .*{file}' \("
    with pytest.raises(DataError, match=message) as caught:
        load_weight_file(network, str(tmp_path / file))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("file", _FILES)
def test_weights_of_other_shapes_are_refused(network, tmp_path, file):
    _save(_make_network(filters=32), tmp_path / file)
    with pytest.raises(DataError, match="must match the network net"):
        load_weight_file(network, str(tmp_path / file))


def test_a_file_that_lacks_a_layer_is_refused(network, tmp_path):
    _make_part(_make_network(), "conv").save(tmp_path / "w.h5")
    with pytest.raises(DataError, match=r"\(no weights for layer conv2_3_bn\)"):
        load_weight_file(network, str(tmp_path / "w.h5"))
