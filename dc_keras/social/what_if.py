"""Simulates the reach from given seeds; reads seeds and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer, SocialGraph
from dc_keras.social.reach import Reach, edge_chances, simulate_reach
from tfrecords.storage.integrity import verify_file
from tfrecords.storage.read_errors import POLARS_ERRORS

_USER, _PROBABILITY, _CHALLENGE = "user_id", "probability", "challenge"


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

    Args:
        path: the file.
        graph: the graph of the users.

    Raises:
        DataError: a column is missing, a user is repeated or not in the graph, or a
            probability is out of [0, 1].
    """
    table = _read(path, "seeds", (_USER,))
    rows = _rows_of(table, path, graph)
    unknown = sum(row < 0 for row in rows.tolist())
    if unknown or not len(rows):
        raise DataError(
            "seeds must be users of the graph, at least one. Received: "
            f"seeds={path}, users={len(rows)}, unknown={unknown}"
        )
    chances = None
    if _PROBABILITY in table.columns:
        chances = np.zeros(len(graph.users))
        chances[rows] = _probabilities(table, path)
    return Seeds(np.sort(rows), chances)


def read_readiness(
    path: Path, graph: SocialGraph, challenge: str | None = None
) -> Readiness:
    """Reads the readiness of users from a CSV file such as that of `predict` or `rank`.

    Args:
        path: file with `user_id` and `probability`; users outside the graph are
            ignored.
        graph: the graph of the users.
        challenge: name of the challenge whose rows are used; None if there is only one.

    Raises:
        DataError: a column is missing, a user is repeated, no user is in the graph, or
            a probability is out of [0, 1], or all are 0.
    """
    table = _read(path, "probabilities", (_USER, _PROBABILITY))
    if challenge is not None:
        if _CHALLENGE not in table.columns:
            raise DataError(
                f"probabilities must have a column challenge. Received: {path}"
            )
        table = table.filter(pl.col(_CHALLENGE) == challenge)
    rows = _rows_of(table, path, graph)
    known = _probabilities(table, path)[rows >= 0]
    if not known.sum() > 0:
        raise DataError(
            "probabilities must contain a user of the graph with a value above 0. "
            f"Received: probabilities={path}, users of the graph={len(known)}"
        )
    values = np.full(len(graph.users), float(known.mean()))
    values[rows[rows >= 0]] = known
    num_unknown = len(graph.users) - len(known)
    return Readiness(values / known.mean(), num_unknown, float(known.sum()))


def simulate_seeds(
    layer: Layer,
    seeds: Seeds,
    rate: float,
    readiness: Readiness | None = None,
    *,
    num_runs: int = 200,
    num_steps: int = 20,
    seed: int = 0,
) -> Reach:
    """Returns the reach of a challenge that given users start.

    Args:
        layer: undirected edges.
        seeds: the seeds.
        rate: rate of `edge_chances`, such as that of `backtesting.contagion_rate`.
        readiness: readiness of users; None for equal readiness.
        num_runs: number of runs, above 0.
        num_steps: number of steps of the curve after the seeds.
        seed: seed of the runs.

    Raises:
        DataError: as for `edge_chances` and `simulate_reach`.
    """
    ready = None if readiness is None else readiness.values
    return simulate_reach(
        edge_chances(layer, rate, ready),
        np.ones(layer.weights.shape[0]),
        seeds.rows,
        seed_chances=seeds.chances,
        num_runs=num_runs,
        num_steps=num_steps,
        seed=seed,
    )


def _read(path: Path, what: str, columns: tuple[str, ...]) -> pl.DataFrame:
    verify_file(path, "predict")
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (*POLARS_ERRORS, OSError) as error:
        raise DataError(
            f"{what} must be a CSV file. Received: {what}={path}"
        ) from error
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError(
            f"{what} must have the columns {' and '.join(columns)}. "
            f"Received: {what}={path}, without {' and '.join(missing)}"
        )
    return table.drop_nulls(_USER)


def _rows_of(table: pl.DataFrame, path: Path, graph: SocialGraph) -> np.ndarray:
    """Returns the row of each user of a table, -1 for users outside the graph."""
    users = table[_USER]
    if users.n_unique() < len(users):
        raise DataError(
            "each user must have one row; select a challenge if there are several. "
            f"Received: {path}, users={users.n_unique()}, lines={len(users)}"
        )
    return np.array([graph.row_of.get(user, -1) for user in users], np.int64)


def _probabilities(table: pl.DataFrame, path: Path) -> np.ndarray:
    values = table[_PROBABILITY].cast(pl.Float64, strict=False).to_numpy()
    # The negation also refuses NaN.
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            f"a probability must be in [0, 1]. Received: {path}, column={_PROBABILITY}"
        )
    return values
