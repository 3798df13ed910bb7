"""The paper preset as options, and the round-trip check of models."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def paper_model(paper_preset):
    from dc_keras.options import ModelOptions

    return ModelOptions.from_dict(paper_preset["ModelOptions"])


def _layers(model):
    import keras

    found = {}
    for layer in model.layers:
        # An input layer computes nothing, and Keras forgets the rest of it.
        if isinstance(layer, keras.layers.InputLayer):
            found[layer.name] = (layer.dtype, layer.batch_shape)
            continue
        policy = layer.dtype_policy.name
        found[layer.name] = (type(layer), policy, layer.trainable)
        if isinstance(layer, keras.Model):
            found |= {f"{layer.name}/{k}": v for k, v in _layers(layer).items()}
    return found


@pytest.fixture
def check_round_trip(tmp_path):
    """Saves a model, loads it, and compares everything that a user could miss."""
    import keras

    def check(model, inputs):
        for weight in model.weights:
            weight.assign_add(0.1 * keras.random.normal(weight.shape, seed=3))
        model.layers[-1].trainable = False
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert loaded.name == model.name
        assert _layers(loaded) == _layers(model)
        assert [w.path for w in loaded.weights] == [w.path for w in model.weights]
        assert loaded.input.keys() == model.input.keys()
        np.testing.assert_array_equal(loaded(inputs), model(inputs))
        return loaded

    return check


@pytest.fixture(scope="session")
def dense():
    """A dense layer of a model as a function on NumPy arrays."""

    def apply(model, name, x):
        kernel, bias = map(np.asarray, model.get_layer(name).weights)
        return x @ kernel + bias

    return apply


@pytest.fixture(scope="session")
def layer_norm():
    """A fresh LayerNorm, Keras's epsilon, as a function on NumPy arrays."""

    def apply(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(
            x.var(-1, keepdims=True) + 1e-3
        )

    return apply
