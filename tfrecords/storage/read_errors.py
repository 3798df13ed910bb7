"""What reading a damaged file raises, told in one line."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from dc_keras.errors import DataError

# A panic of the Rust code of polars is no Exception.
POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_RAISED = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
    # Of an archive whose flipped bits say that it is encrypted or packed otherwise.
    *(EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile),
)
# Their errors are known by name: none of them is imported for this.
# A panic of polars' Rust code, no Exception, is of pyo3_runtime.
_LIBRARIES = ("polars", "pyarrow", "msgspec", "h5py", "pyo3_runtime")


@contextmanager
def reading(path: Path, must_be: str) -> Iterator[None]:
    """Turns what a damaged file makes readers raise into one line.

    To be put around the reading alone: a mistake of ours inside it would be called
    damage.

    Args:
        path: of what is read.
        must_be: what it must be, and what makes it: "a graph of build_graph".

    Raises:
        DataError: reading fails, for another reason than the system's.
    """
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        library = type(error).__module__.partition(".")[0]
        if not isinstance(error, _RAISED) and library not in _LIBRARIES:
            raise
        told = " ".join(str(error).split())[:200] or "nothing"
        raise DataError(
            f"{path} must be {must_be}; bring it back from a copy, or make it anew. "
            f"Received: {type(error).__name__}: {told}"
        ) from error
