import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dc_keras.encoders.torch_file import read_torch_tensors
from dc_keras.errors import DataError

_KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("is_archive", [True, False])
def test_tensors_are_read_by_name(tmp_path, write_torch_file, is_archive):
    given = {"a.weight": _KERNEL, "a.bias": np.zeros(3, np.float32)}
    write_torch_file(tmp_path / "x.pth", given, is_archive=is_archive)
    found = read_torch_tensors(tmp_path / "x.pth")
    assert list(found) == list(given)
    np.testing.assert_array_equal(found["a.weight"], _KERNEL)
    assert found["a.bias"].shape == (3,)
    assert found["a.weight"].dtype == np.float32


def test_numbers_of_no_dimension_are_read(tmp_path, write_torch_file):
    write_torch_file(tmp_path / "x.pth", {"count": np.float32(7)})
    assert read_torch_tensors(tmp_path / "x.pth")["count"] == 7


class _Attack:
    def __reduce__(self):
        return Path.touch, (Path("attacked"),)


@pytest.mark.parametrize("is_archive", [True, False])
def test_code_in_the_pickle_is_not_run(tmp_path, monkeypatch, is_archive):
    monkeypatch.chdir(tmp_path)
    path, pickled = tmp_path / "x.pth", pickle.dumps({"a": _Attack()}, 2)
    if is_archive:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x/data.pkl", pickled)
    else:
        path.write_bytes(pickled)
    with pytest.raises(DataError, match=r"state dict.*x\.pth \(it refers to "):
        read_torch_tensors(path)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("strides", "shape", "reason"),
    [
        ((13, 1), (2, 13), "beyond its storage"),
        ((12, -1), (2, 12), "beyond its storage"),
        ((12,), (2, 12), "zip"),
    ],
)
def test_tensors_outside_their_storage_are_refused(
    tmp_path, write_torch_file, strides, shape, reason
):
    write_torch_file(tmp_path / "x.pth", {"a": _KERNEL}, strides=strides, shape=shape)
    with pytest.raises(DataError, match=reason):
        read_torch_tensors(tmp_path / "x.pth")


def test_other_objects_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"epoch": 3}, 2))
    with pytest.raises(DataError, match="'epoch' is no tensor"):
        read_torch_tensors(tmp_path / "x.pth")


def test_tensors_may_be_transposed(tmp_path, write_torch_file):
    write_torch_file(tmp_path / "x.pth", {"a": _KERNEL}, strides=(1, 4), shape=(4, 6))
    found = read_torch_tensors(tmp_path / "x.pth")["a"]
    np.testing.assert_array_equal(found, _KERNEL.reshape(6, 4).T)


@pytest.mark.parametrize("is_archive", [True, False])
def test_damaged_files_are_refused(tmp_path, write_torch_file, is_archive):
    path = tmp_path / "x.pth"
    write_torch_file(path, {"a": _KERNEL}, is_archive=is_archive)
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="must be a state dict"):
            read_torch_tensors(path)
