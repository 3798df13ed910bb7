import numpy as np
import pytest
import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.serving.tensor_specs import DTYPES, TensorSpec, as_array, make_spec


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_are_those_of_tensorflow(name):
    dtype = tf.as_dtype(tf.dtypes.as_dtype(name.removeprefix("DT_").lower()))
    assert make_spec(name, [2]) == TensorSpec(np.dtype(dtype.as_numpy_dtype), (2,))


def test_unsupported_dtypes_are_refused():
    with pytest.raises(DataError, match=r"one of DT_STRING, .*Received: 'DT_VARIANT'"):
        make_spec("DT_VARIANT", [])


def test_numbers_are_cast_to_the_dtype_of_the_spec():
    floats = TensorSpec(np.dtype(np.float32), (-1, 2))
    for value in ([[1, 2]], [[1.0, 2.0]], np.ones((1, 2)), tf.ones((1, 2))):
        assert as_array(value, "x", floats).dtype == np.float32
    whole = TensorSpec(np.dtype(np.int32), (-1,))
    assert as_array([1, 2], "x", whole).dtype == np.int32
    with pytest.raises(
        DataError, match=r"`x` must have the dtype int32\. Received: dtype=float64"
    ):
        as_array([1.5], "x", whole)


def test_strings_keep_their_bytes():
    spec = TensorSpec(np.dtype(object), (-1,))
    assert as_array([b"a\0\0", "é"], "x", spec).tolist() == [b"a\0\0", "é"]
    assert as_array(tf.constant(["a"]), "x", spec).tolist() == [b"a"]
    assert as_array(np.array(["a"]), "x", spec).tolist() == ["a"]
