"""Rows of an array that stay in files and are read when they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tfrecords.errors import DataError
from tfrecords.memory import aligned_empty

# Position of the file of a row that is not stored.
_NO_FILE = -1


@dataclass(frozen=True)
class StoredFile:
    """A file as it was when its rows were found."""

    path: Path
    num_bytes: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Returns the present state of a file."""
        state = path.stat()
        return cls(path, state.st_size, state.st_mtime_ns)

    def require_unchanged(self) -> None:
        """Raises an error if the file has changed since."""
        if not self.path.exists() or StoredFile.of(self.path) != self:
            raise DataError(
                f"{self.path} has changed since this process opened it; run the "
                "command again"
            )


@dataclass(frozen=True, eq=False)
class StoredRows:
    """A float16 array (num_rows, …) whose rows stay in files.

    Indexing the first axis copies the chosen rows from the files. The operating system
    keeps the files in its page cache as long as there is memory, once for all
    processes. A pickled array only contains the places of its rows.

    Attributes:
        files: The files.
        file_of: int32 (num_rows,), position of each row's file in `files`; -1 for a row
            of zeros.
        offset: int64 (num_rows,), first byte of each row in its file. A row is
            contiguous and little-endian.
        row_shape: Shape of a row.
    """

    files: Sequence[StoredFile]
    file_of: npt.NDArray[np.int32]
    offset: npt.NDArray[np.int64]
    row_shape: tuple[int, ...]

    dtype = np.dtype("<f2")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return (len(self), *self.row_shape)

    def __len__(self) -> int:
        return len(self.file_of)

    def __getitem__(self, index: Any) -> npt.NDArray[np.float16]:
        """Reads rows into memory that a tensor can share.

        Args:
            index: Any NumPy index of the first axis.

        Raises:
            DataError: A file has changed since its rows were found.
        """
        rows = np.arange(len(self))[index]
        values = aligned_empty((*rows.shape, *self.row_shape), self.dtype)
        self._read(rows.reshape(-1), values.reshape((-1, *self.row_shape)))
        return values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self[:] if dtype is None else self[:].astype(dtype)

    def require_unchanged(self) -> None:
        """Raises an error if a file has changed since its rows were found."""
        for stored in self.files:
            stored.require_unchanged()

    def without(self, rows: npt.NDArray[np.integer[Any]]) -> StoredRows:
        """Returns the array with zeros in some rows."""
        file_of = self.file_of.copy()
        file_of[rows] = _NO_FILE
        return StoredRows(self.files, file_of, self.offset, self.row_shape)

    def _read(self, rows: npt.NDArray[Any], values: npt.NDArray[np.float16]) -> None:
        file_of = self.file_of[rows]
        for number in np.unique(file_of):
            places = np.flatnonzero(file_of == number)
            if number == _NO_FILE:
                values[places] = 0
                continue
            stored = self.files[number]
            stored.require_unchanged()
            with stored.path.open("rb", buffering=0) as file:
                for place in places:
                    file.seek(self.offset[rows[place]])
                    file.readinto(values[place])
            stored.require_unchanged()
