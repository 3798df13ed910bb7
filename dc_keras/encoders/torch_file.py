"""Reads the tensors of a PyTorch file, without PyTorch and without running its pickles.

A pickle may call any function. Here, it can only build dictionaries and descriptions of
tensors; the values are then read from the rest of the file.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from dc_keras.errors import DataError

Array: TypeAlias = npt.NDArray[Any]

# Storage classes of PyTorch, and the dtypes of their values.
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_COUNT_BYTES = 8


def read_torch_tensors(path: Path) -> dict[str, Array]:
    """Returns the tensors of a state dict by name, such as "_conv_stem.weight".

    The file is of `torch.save`, in the format since PyTorch 1.6 or the one before.

    Raises:
        DataError: the file cannot be read, or contains anything but named tensors.
    """
    try:
        if zipfile.is_zipfile(path):
            tensors, storages = _read_archive(path)
        else:
            tensors, storages = _read_stream(path)
        return {name: tensor.take(storages) for name, tensor in tensors.items()}
    # A damaged pickle raises errors of any kind.
    except Exception as error:
        raise DataError(
            "a PyTorch file must be a state dict with nothing but tensors. "
            f"Received: {path} ({error})"
        ) from error


class _Tensor(NamedTuple):
    """A tensor of a pickle, without its values; strides count values, not bytes."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def take(self, storages: dict[str, Array]) -> Array:
        values = storages[self.storage]
        sides = list(zip(self.shape, self.strides, strict=True))
        end = self.offset + sum((length - 1) * stride for length, stride in sides)
        # NumPy would read other memory.
        if min((self.offset, *self.shape, *self.strides)) < 0 or end >= len(values):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [stride * values.itemsize for stride in self.strides]
        return as_strided(values[self.offset :], self.shape, strides, writeable=False)


class _TensorUnpickler(pickle.Unpickler):
    """Builds descriptions of tensors; refuses every other class and function."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.dtypes: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return str(key)

    def load_tensors(self) -> dict[str, _Tensor]:
        tensors = dict(self.load())
        for name, tensor in tensors.items():
            if not isinstance(name, str) or not isinstance(tensor, _Tensor):
                raise TypeError(f"{name!r} is no tensor")
        return tensors


def _describe_tensor(
    storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _read_archive(path: Path) -> tuple[dict[str, _Tensor], dict[str, Array]]:
    """Reads a ZIP archive: `data.pkl`, and a file in `data/` for each storage."""
    with zipfile.ZipFile(path) as archive:
        [pickled] = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        with archive.open(pickled) as file:
            unpickler = _TensorUnpickler(file)
            tensors = unpickler.load_tensors()
        folder = pickled.removesuffix(".pkl")
        storages = {
            key: np.frombuffer(archive.read(f"{folder}/{key}"), dtype)
            for key, dtype in unpickler.dtypes.items()
        }
    return tensors, storages


def _read_stream(path: Path) -> tuple[dict[str, _Tensor], dict[str, Array]]:
    """Reads the older format: five pickles, then the storages."""
    with path.open("rb") as file:
        if _TensorUnpickler(file).load() != _MAGIC_NUMBER:
            raise ValueError("it is no PyTorch file")
        for _ in ("version", "byte order and sizes of the machine"):
            _TensorUnpickler(file).load()
        unpickler = _TensorUnpickler(file)
        tensors = unpickler.load_tensors()
        storages = {
            key: _read_storage(file, np.dtype(unpickler.dtypes[key]))
            for key in _TensorUnpickler(file).load()
        }
    return tensors, storages


def _read_storage(file: BinaryIO, dtype: np.dtype[Any]) -> Array:
    count = int.from_bytes(file.read(_COUNT_BYTES), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype)
