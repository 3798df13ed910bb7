import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders.fingerprints import fingerprint

_IDENTITY = {"name": "VGG16", "image_size": 64}
_KERNEL = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def _of(*arrays, **identity):
    weights = [tf.Variable(array) for array in arrays]
    return fingerprint({**_IDENTITY, **identity}, weights)


def test_it_is_the_sha256_of_identity_then_kind_and_bytes_of_each_weight():
    # Written out: features on disk carry it, so that no release may change it.
    content = (
        b'{"image_size": 64, "name": "VGG16"}'
        b"<f4(2, 3)" + _KERNEL.tobytes() + b"<i8(1,)" + (7).to_bytes(8, "little")
    )
    found = _of(_KERNEL, np.array([7], np.int64))
    assert found == hashlib.sha256(content).hexdigest()


def test_names_kinds_of_variable_and_order_of_keys_do_not_count():
    weight = keras.Variable(_KERNEL, name="another_name")
    reordered = dict(reversed(_IDENTITY.items()))
    assert fingerprint(reordered, [weight]) == _of(_KERNEL)


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        [_KERNEL, _KERNEL],
        [np.nextafter(_KERNEL, np.float32(9))],
        [_KERNEL.reshape(3, 2)],
        [_KERNEL.reshape(1, 2, 3)],
        [_KERNEL.view(np.int32)],
        [_KERNEL.astype(np.float64)],
    ],
)
def test_other_weights_are_another_encoder(arrays):
    assert _of(*arrays) != _of(_KERNEL)


def test_weights_that_change_places_are_another_encoder():
    other = _KERNEL + 1
    assert _of(_KERNEL, other) != _of(other, _KERNEL)


@pytest.mark.parametrize(
    "identity", [{"name": "ResNet50"}, {"image_size": 32}, {"layer": None}]
)
def test_another_identity_is_another_encoder(identity):
    assert _of(_KERNEL, **identity) != _of(_KERNEL)


def test_a_weight_may_be_empty_or_a_scalar():
    assert _of(np.float32(1)) != _of(np.float32(2))
    assert _of(np.zeros((0, 3), np.float32)) != _of(np.zeros((0, 4), np.float32))
