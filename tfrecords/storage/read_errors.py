"""Turns the exceptions of reading a damaged file into one-line errors."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tfrecords.errors import DataError

# A panic in the Rust code of polars is not a subclass of Exception.
POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_RAISED = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
    # Raised for a damaged archive that appears to be encrypted or compressed otherwise.
    *(EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile),
)
# Compared by name, so that these libraries are not imported. Panics of polars come from
# pyo3_runtime.
_LIBRARIES = ("polars", "pyarrow", "msgspec", "h5py", "pyo3_runtime")


@contextmanager
def reading(path: Path, must_be: str) -> Iterator[None]:
    """Context manager that turns exceptions of reading a damaged file into `DataError`.

    Use it around the reading only, because it also turns programming errors into a
    `DataError`. `must_be` is the expected content and the script that writes it, such
    as "a graph of build_graph".

    Raises:
        DataError: Reading fails, other than by an error of the system.
    """
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        library = type(error).__module__.partition(".")[0]
        if not isinstance(error, _RAISED) and library not in _LIBRARIES:
            raise
        message = " ".join(str(error).split())[:200] or "no message"
        raise DataError(
            f"{path} must be {must_be}; restore it from a copy, or create it again. "
            f"Received: {type(error).__name__}: {message}"
        ) from error
