import multiprocessing

import numpy as np
import pytest

from tfrecords.errors import DataError
from tfrecords.memory import is_shareable
from tfrecords.stored_rows import StoredFile, StoredRows

_VALUES = np.arange(24, dtype=np.float16).reshape(4, 2, 3)


@pytest.fixture
def stored(tmp_path):
    """The rows of `_VALUES`: the first three in one file, the last in another."""
    first, second = tmp_path / "first", tmp_path / "second"
    # An odd position, because rows need not be aligned.
    first.write_bytes(b"-" + _VALUES[2::-1].tobytes())
    second.write_bytes(_VALUES[3].tobytes())
    return StoredRows(
        [StoredFile.of(first), StoredFile.of(second)],
        np.array([0, 0, 0, 1], np.int32),
        np.array([25, 13, 1, 0]),
        (2, 3),
    )


@pytest.mark.parametrize(
    "index",
    [2, -1, slice(1, None), slice(0, 0), [3, 0, 3], np.array([[0, 1], [2, 3]])],
)
def test_rows_are_those_of_the_array(stored, index):
    np.testing.assert_array_equal(stored[index], _VALUES[index])
    assert stored[index].dtype == np.float16


def test_all_rows_make_the_array(stored):
    assert stored.shape == _VALUES.shape
    np.testing.assert_array_equal(stored, _VALUES)


def test_a_tensor_can_share_the_rows(stored):
    assert is_shareable(stored[[1, 3]])


def test_removed_rows_are_zeros(stored):
    expected = _VALUES.copy()
    expected[[0, 3]] = 0
    np.testing.assert_array_equal(stored.without(np.array([0, 3])), expected)
    np.testing.assert_array_equal(stored, _VALUES)


def test_another_process_reads_the_same_rows(stored):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(
            pool.apply(stored.__getitem__, ([1, 3],)), _VALUES[[1, 3]]
        )


@pytest.mark.parametrize("change", ["replaced", "shortened", "removed"])
def test_a_file_that_changed_is_an_error(stored, change):
    path = stored.files[1].path
    path.unlink()
    if change != "removed":
        path.write_bytes(_VALUES[0].tobytes()[: None if change == "replaced" else 5])
    np.testing.assert_array_equal(stored[:3], _VALUES[:3])
    with pytest.raises(DataError, match="second has changed since this process opened"):
        stored[2:]
