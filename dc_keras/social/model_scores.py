"""Predicted probabilities of users, from files of `predict` or `rank`.

`read_seeds` and `read_readiness` read the first users of a new challenge and how ready
the others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.social.graph import SocialGraph
from dc_keras.social.graph_view import OTHER
from tfrecords.storage.integrity import verify_file
from tfrecords.storage.read_errors import POLARS_ERRORS

# From 0 to the largest value: ColorBrewer's "Blues" (Brewer 2003).
_SCALE = ("#DEEBF7", "#9ECAE1", "#4292C6", "#08519C", "#08306B")


def read_probabilities(
    path: Path, users: Sequence[str], challenge: str | None = None
) -> np.ndarray:
    """Reads the probability of each user from a file of `predict` or `rank`.

    Args:
        path: CSV file with the columns user_id and probability and, for several
            challenges, challenge.
        users: users of the graph; other users of the file are ignored.
        challenge: name of the challenge; None if the file has only one.

    Returns:
        float64 (num_users,), in [0, 1]; NaN for users who are not in the file.

    Raises:
        DataError: the file is no such table, a probability is out of range, the
            challenge is missing or unknown, a user is repeated, or no user is in the
            graph.
    """
    table = read_answers(path, ("user_id", "probability"), challenge)
    by_user = dict(table.select("user_id", "probability").iter_rows())
    found = np.array([by_user.get(user, np.nan) for user in users], np.float64)
    if np.isnan(found).all():
        raise DataError(
            f"{path} must contain users of the graph. Received: "
            f"users of the file={table.height}, of the graph={len(users)}, in both=0"
        )
    return found


def probability_colours(probabilities: np.ndarray) -> list[str]:
    """Returns a colour (#RRGGBB) per user, darker for larger values; grey if unknown.

    Args:
        probabilities: float64 (num_users,), at least 0; the largest value has the
            darkest colour. NaN if unknown.
    """
    known = np.nan_to_num(probabilities)
    share = known / (known.max(initial=0.0) or 1.0)
    anchors = np.array([_channels(colour) for colour in _SCALE])
    at = np.linspace(0, 1, len(_SCALE))
    mixed = np.stack([np.interp(share, at, channel) for channel in anchors.T], axis=1)
    return [
        OTHER if np.isnan(probability) else "#{:02X}{:02X}{:02X}".format(*channels)
        for probability, channels in zip(
            probabilities.tolist(), mixed.round().astype(int).tolist(), strict=True
        )
    ]


def mean_probabilities(probabilities: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the mean of the known probabilities of each group.

    Args:
        probabilities: float64 (num_users,), NaN if unknown.
        groups: group of each user, numbered from 0, int64 (num_users,).

    Returns:
        float64 (num_groups,), NaN for groups without known probabilities.
    """
    known = ~np.isnan(probabilities)
    most = int(groups.max(initial=-1)) + 1
    count = np.bincount(groups[known], minlength=most)
    total = np.bincount(groups[known], probabilities[known], minlength=most)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def read_answers(
    path: Path, columns: Sequence[str], challenge: str | None = None
) -> pl.DataFrame:
    """Reads a CSV file of `predict` or `rank`, one row per user.

    Args:
        path: the file.
        columns: the columns that it must have; probabilities are read in any case.
        challenge: name of the challenge; None if the file has only one.

    Raises:
        DataError: the file is no such table, a probability is out of range, the
            challenge is missing or unknown, or a user is repeated.
    """
    verify_file(path, "predict")
    try:
        table = pl.read_csv(path, infer_schema=False)
        table.select(columns)
        if "probability" in table.columns:
            table = table.with_columns(pl.col("probability").cast(pl.Float64))
    except (OSError, *POLARS_ERRORS) as error:
        names = " and ".join(columns)
        raise DataError(
            f"{path} must be a CSV file with {names}. "
            f"Received: {str(error).splitlines()[0]}"
        ) from error
    table = _about(table, path, challenge)
    if "probability" in table.columns:
        is_valid = pl.col("probability").is_between(0, 1).fill_null(False)
        for row in table.filter(~is_valid).head(1).iter_rows(named=True):
            raise DataError(
                f"{path}: a probability must be in [0, 1]. "
                f"Received: probability={row['probability']}"
            )
    if table["user_id"].n_unique() < table.height:
        raise DataError(
            f"{path} must have one row per user. Received: rows={table.height}, "
            f"users={table['user_id'].n_unique()}"
        )
    return table


def _about(table: pl.DataFrame, path: Path, challenge: str | None) -> pl.DataFrame:
    has_names = "challenge" in table.columns
    names = table["challenge"].unique().sort().to_list() if has_names else []
    if challenge is None and len(names) < 2:
        return table
    if challenge not in names:
        raise DataError(
            f"{path}: the challenge must be one of {', '.join(map(str, names))}. "
            f"Received: challenge={challenge}"
        )
    return table.filter(pl.col("challenge") == challenge)


@dataclass(frozen=True, eq=False)
class Seeds:
    """The seeds of a challenge.

    Attributes:
        rows: rows of the graph, sorted, int64 (num_seeds,).
        chances: chance that each seed adopts, in [0, 1], 0 for other users, float64
            (num_users,); None if all seeds adopt.
    """

    rows: np.ndarray
    chances: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Readiness:
    """The readiness of users to adopt, relative to a mean of 1.

    Attributes:
        values: readiness of each user, 0 or more, float64 (num_users,); users without a
            probability have the mean.
        num_unknown: number of users without a probability.
        expected: sum of the known probabilities.
    """

    values: np.ndarray
    num_unknown: int
    expected: float


def read_seeds(path: Path, graph: SocialGraph) -> Seeds:
    """Reads seeds from a CSV file with `user_id`, such as that of `rank`.

    An optional column `probability` is the chance that a seed adopts.

    Raises:
        DataError: as for `read_answers`, or a seed is not in the graph, or
            there is none.
    """
    table = read_answers(path, ("user_id",))
    rows = [graph.row_of[user] for user in table["user_id"] if user in graph.row_of]
    if not rows or len(rows) < table.height:
        raise DataError(
            "seeds must be users of the graph, at least one. Received: "
            f"seeds={path}, users={table.height}, unknown={table.height - len(rows)}"
        )
    chances = None
    if "probability" in table.columns:
        chances = np.zeros(len(graph.users))
        chances[rows] = table["probability"].to_numpy()
    return Seeds(np.sort(rows), chances)


def read_readiness(
    path: Path, graph: SocialGraph, challenge: str | None = None
) -> Readiness:
    """Reads the readiness of users from a CSV file such as that of `predict` or `rank`.

    Raises:
        DataError: as for `read_probabilities`, or all probabilities are 0.
    """
    values = read_probabilities(path, graph.users, challenge)
    is_unknown = np.isnan(values)
    known = values[~is_unknown]
    if not known.sum() > 0:
        raise DataError(
            "probabilities must contain a user of the graph with a value above 0. "
            f"Received: probabilities={path}, users of the graph={len(known)}"
        )
    values[is_unknown] = known.mean()
    expected = float(known.sum())
    return Readiness(values / known.mean(), int(is_unknown.sum()), expected)
