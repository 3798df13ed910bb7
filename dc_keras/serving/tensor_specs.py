"""Tensor specs of served signatures, and conversion of inputs to matching arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dc_keras.errors import DataError

Arrays = dict[str, np.ndarray]

# NumPy dtypes of bundles by the DataType of messages; strings are bytes in arrays of
# objects.
DTYPES = {
    "DT_STRING": np.dtype(object),
    "DT_FLOAT": np.dtype(np.float32),
    "DT_INT32": np.dtype(np.int32),
    "DT_INT64": np.dtype(np.int64),
    "DT_BOOL": np.dtype(np.bool_),
}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor of a signature.

    Attributes:
        dtype: dtype of the array; object for strings, which are bytes.
        shape: sizes of the dimensions, -1 for any size.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Signature:
    """The input and output tensors of a served function, by name."""

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


def make_spec(dtype: str, dims: list[int]) -> TensorSpec:
    """Returns the spec of a tensor of a server's metadata, such as "DT_FLOAT".

    Raises:
        DataError: the dtype is not supported.
    """
    if dtype not in DTYPES:
        raise DataError(
            f"a dtype must be one of {', '.join(DTYPES)}. Received: {dtype[:40]!r}"
        )
    return TensorSpec(DTYPES[dtype], tuple(dims))


def as_array(value: Any, name: str, spec: TensorSpec) -> np.ndarray:
    """Returns an input, an array, a tensor or nested lists, with the dtype of its spec.

    Strings are str or bytes.

    Raises:
        DataError: the input has another type or shape, or its lists are ragged.
    """
    # NumPy's string dtypes strip trailing NULs, which a JPEG file may contain.
    dtype = object if spec.dtype == object else None
    try:
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value, dtype)
    except ValueError:
        raise _ragged(name) from None
    if dtype:
        _require_strings(array, name)
    elif not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise DataError(
            f"`{name}` must have the dtype {spec.dtype}. Received: dtype={array.dtype}"
        )
    if not fits(array, spec):
        raise DataError(
            f"`{name}` must have the shape {spec.shape}, -1 for any size. "
            f"Received: shape={array.shape}"
        )
    return array.astype(spec.dtype)


def fits(array: np.ndarray, spec: TensorSpec) -> bool:
    """Returns whether an array has the shape of a spec."""
    return array.ndim == len(spec.shape) and all(
        size in (-1, given) for size, given in zip(spec.shape, array.shape, strict=True)
    )


def _ragged(name: str) -> DataError:
    return DataError(
        f"`{name}` must be rectangular, padded with ''. Received: lists of many lengths"
    )


def _require_strings(array: np.ndarray, name: str) -> None:
    for item in array.flat:
        if isinstance(item, list | tuple):
            raise _ragged(name)
        if not isinstance(item, str | bytes):
            raise DataError(
                f"`{name}` must contain strings. Received: type={type(item).__name__}"
            )
        if isinstance(item, str) and any("\ud800" <= c <= "\udfff" for c in item):
            raise DataError(
                f"`{name}` must be valid Unicode. Received: half a surrogate pair"
            )
