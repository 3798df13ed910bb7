"""The steps on one replica and on two: tests train in processes of their own."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from trained_apart import start, wait_for

from dc_keras.training.steps import forward

_STREAMED = "streamed, two steps at once"
_VARIATIONS = {
    "plain": {},
    "clipped": {"clip_norm": 0.05},
    "float16": {"precision": "mixed_float16", "clip_norm": 0.05},
    "jit": {"jit": True},
    # Last, because deterministic operations cannot be disabled in a process.
    _STREAMED: {
        "steps_per_execution": 2,
        "deterministic": True,
        "shuffle_buffer": 45,
    },
}
# float16 has 11 bits, and sums of two replicas are rounded differently.
_TOLERANCES = {"float16": 1e-3}
_REPLICAS = {"one": (), "two": ("--strategy=mirrored", "--num_cpus=2")}


def _assert_alike(found, expected, tolerance=1e-4):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=tolerance, err_msg=name)


@pytest.fixture(
    scope="module",
    params=[
        ("plain", "clipped", _STREAMED),
        pytest.param(("plain", "clipped", "float16", "jit"), marks=pytest.mark.long),
    ],
    ids=["quick", "slow to compile"],
)
def fitted(request, tmp_path_factory):
    """Weights and curves by variation, on one replica and on two logical CPUs."""
    directory = tmp_path_factory.mktemp("replicas")
    options = [f"--options={json.dumps(_VARIATIONS[v])}" for v in request.param]
    processes = {
        name: start(
            directory / f"{name}.log",
            f"--output={directory / name}.npz",
            *flags,
            *options,
        )
        for name, flags in _REPLICAS.items()
    }
    found = []
    for name, process in processes.items():
        wait_for(process, directory / f"{name}.log")
        with np.load(directory / f"{name}.npz") as arrays:
            found.append(
                {
                    variation: {
                        key.removeprefix(f"{number}/"): arrays[key]
                        for key in arrays
                        if key.startswith(f"{number}/")
                    }
                    for number, variation in enumerate(request.param)
                }
            )
    return found


def test_two_replicas_give_the_weights_of_one(fitted):
    for name, expected in fitted[0].items():
        found = dict(fitted[1][name])
        if name == "float16":
            # Two pairs with nearly equal scores may change places, which changes AP by
            # .012.
            key = "val_average_precision"
            np.testing.assert_allclose(found[key], expected[key], atol=0.02)
            found[key] = expected[key]
        _assert_alike(found, expected, _TOLERANCES.get(name, 1e-4))


def test_streaming_speed_and_exactness_change_no_result(fitted):
    alone = fitted[0]
    if _STREAMED in alone:
        _assert_alike(alone[_STREAMED], alone["plain"], tolerance=1e-6)


def test_variations_are_not_all_the_same(fitted):
    alone = fitted[0]
    for name in alone.keys() & {"clipped", "float16"}:
        moved = np.abs(alone["plain"]["weights"] - alone[name]["weights"])
        assert moved.max() > 1e-3


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
