"""The steps on one replica and on two: tests train in processes of their own."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from trained_apart import fit_apart

from dc_keras.training.steps import forward

_VARIATIONS = {
    "plain": {},
    "clipped": {"clip_norm": 0.05},
    "float16": {"precision": "mixed_float16", "clip_norm": 0.05},
    "jit": {"jit": True},
    # Last, because deterministic operations cannot be disabled in a process.
    "streamed, two steps at once": {
        "steps_per_execution": 2,
        "deterministic": True,
        "shuffle_buffer": 45,
    },
}
# float16 has 11 bits, and sums of two replicas are rounded differently.
_TOLERANCES = {"float16": 1e-3}


def _assert_alike(found, expected, tolerance=1e-4):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=tolerance, err_msg=name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One replica's weights and curves, in every variation."""
    options = [f"--options={json.dumps(v)}" for v in _VARIATIONS.values()]
    return fit_apart(tmp_path_factory.mktemp("alone"), "alone", *options)


def _variation(fitted, number):
    start = f"{number}/"
    return {k.removeprefix(start): v for k, v in fitted.items() if k.startswith(start)}


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """The same on two logical CPUs."""
    options = [f"--options={json.dumps(v)}" for v in _VARIATIONS.values()]
    directory = tmp_path_factory.mktemp("mirrored")
    flags = ["--strategy=mirrored", "--num_cpus=2", *options]
    return fit_apart(directory, "mirrored", *flags)


@pytest.mark.parametrize("name", _VARIATIONS)
def test_two_replicas_give_the_weights_of_one(alone, mirrored, name):
    number = list(_VARIATIONS).index(name)
    found, expected = _variation(mirrored, number), _variation(alone, number)
    if name == "float16":
        # Two pairs with nearly equal scores may change places, which changes AP by .012.
        ranked = [fit.pop("val_average_precision") for fit in (found, expected)]
        np.testing.assert_allclose(*ranked, atol=0.02)
    _assert_alike(found, expected, _TOLERANCES.get(name, 1e-4))


def test_streaming_speed_and_exactness_change_no_result(alone):
    number = list(_VARIATIONS).index("streamed, two steps at once")
    _assert_alike(_variation(alone, number), _variation(alone, 0), tolerance=1e-6)


@pytest.mark.parametrize("name", ["clipped", "float16"])
def test_variations_are_not_all_the_same(alone, name):
    number = list(_VARIATIONS).index(name)
    plain, other = _variation(alone, 0), _variation(alone, number)
    assert np.abs(plain["weights"] - other["weights"]).max() > 1e-3


def test_many_models_are_compiled_without_a_warning_about_retracing(caplog):
    logger = tf.get_logger()
    logger.addHandler(caplog.handler)
    try:
        for size in range(1, 13):
            inputs = keras.Input((size,), name="x")
            model = keras.Model({"x": inputs}, keras.layers.Dense(1)(inputs))
            outputs = forward(model)({"x": tf.ones((2, size))})
            assert outputs.shape == (2, 1)
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text
