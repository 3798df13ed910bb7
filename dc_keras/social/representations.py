"""Reads the representations of users by a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from tfrecords.storage.integrity import verify_directory, verify_file
from tfrecords.storage.read_errors import POLARS_ERRORS

_RULE = (
    "representations must be a Parquet file with user_id and one column of vectors, or "
    "a directory of such files, such as --users of `rank`"
)


def read_representations(path: Path, users: tuple[str, ...]) -> np.ndarray:
    """Reads representations of users.

    Args:
        path: Parquet file with `user_id` and one column of vectors, or a directory of
            such files, such as --users of `rank`.
        users: ids of the users.

    Returns:
        float64 (num_users, dim), NaN for users who are not in the file.

    Raises:
        DataError: the file has another format, or contains none of the users.
    """
    try:
        table = _read_table(path)
    except (OSError, ValueError, *POLARS_ERRORS) as error:
        raise DataError(f"{_RULE}. Received: {path}") from error
    columns = [
        name
        for name, dtype in table.schema.items()
        if isinstance(dtype, pl.Array | pl.List)
    ]
    if "user_id" not in table.columns or len(columns) != 1:
        raise DataError(f"{_RULE}. Received: {path}, columns={table.columns}")
    row_of = {user: row for row, user in enumerate(users)}
    table = table.filter(pl.col("user_id").is_in(list(users)))
    if table.is_empty():
        raise DataError(
            "representations must be of users of this corpus: ids are keyed "
            f"pseudonyms. Received: {path}, which contains none of them"
        )
    try:
        vectors = np.array(table[columns[0]].to_list(), np.float64)
        _, width = vectors.shape
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{_RULE}, which all have the same length. Received: {path}"
        ) from error
    rows = np.full((len(users), width), np.nan)
    rows[[row_of[user] for user in table["user_id"]]] = vectors
    return rows


def _read_table(path: Path) -> pl.DataFrame:
    if not path.is_dir():
        verify_file(path, "rank")
        return pl.read_parquet(path)
    verify_directory(path, "rank")
    tables = [pl.read_parquet(file) for file in sorted(path.glob("*.parquet"))]
    # A shard without users does not know the length of the vectors.
    return pl.concat([table for table in tables if table.height] or tables)
