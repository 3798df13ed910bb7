"""What if these users were asked to begin: seeds and probabilities from CSV files."""

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
    """Whom to ask first.

    Attributes:
        rows: int64 (num_seeds,), sorted: rows of the graph.
        chances: float64 (num_users,), in [0, 1]: that a seed joins when asked, 0 of
            everybody else; None where all seeds join in any case.
    """

    rows: np.ndarray
    chances: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Readiness:
    """How ready users are to join, beside a mean of 1.

    Attributes:
        values: float64 (num_users,), 0 or more; those without a probability have the
            mean.
        num_unknown: users without a probability.
    """

    values: np.ndarray
    num_unknown: int


def read_seeds(path: Path, graph: SocialGraph) -> Seeds:
    """Reads whom to ask first: a CSV file with `user_id`, such as `rank` writes.

    A column `probability` says how likely each is to join when asked.

    Args:
        path: the file.
        graph: whose users they are.

    Raises:
        DataError: no such columns, a user who is not of the graph or there twice, or a
            probability outside [0, 1].
    """
    table = _read(path, "seeds", (_USER,))
    rows = _rows_of(table, path, graph)
    unknown = sum(row < 0 for row in rows.tolist())
    if unknown or not len(rows):
        raise DataError(
            "seeds must be users of the graph, one at least. Received: "
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
    """Reads how ready users are: a CSV file such as `predict` or `rank` writes.

    Args:
        path: with `user_id` and `probability`; users who are not of the graph are left
            out.
        graph: whose users they are.
        challenge: takes the rows of this `challenge` alone; None where there is one.

    Raises:
        DataError: no such columns, a user there twice, nobody of the graph, or a
            probability outside [0, 1] or 0 of everybody.
    """
    table = _read(path, "probabilities", (_USER, _PROBABILITY))
    if challenge is not None:
        if _CHALLENGE not in table.columns:
            raise DataError(
                f"probabilities must have a column challenge. Received: {path}"
            )
        table = table.filter(pl.col(_CHALLENGE) == challenge)
    rows = _rows_of(table, path, graph)
    given = _probabilities(table, path)[rows >= 0]
    if not given.sum() > 0:
        raise DataError(
            "probabilities must be of users of the graph, and above 0 of one. "
            f"Received: probabilities={path}, users of the graph={len(given)}"
        )
    values = np.full(len(graph.users), float(given.mean()))
    values[rows[rows >= 0]] = given
    return Readiness(values / given.mean(), len(graph.users) - len(given))


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
    """Returns the reach of a challenge to come, from those who are asked first.

    Args:
        layer: edges without direction.
        seeds: whom to ask.
        rate: of `edge_chances`, such as `backtesting.contagion_rate`.
        readiness: of everybody; all alike if None.
        num_runs: above 0.
        num_steps: waves after the seeds that the curve has.
        seed: of the runs.

    Raises:
        DataError: as `edge_chances` and `simulate_reach`.
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
    """Returns the row of each user of a table, -1 where the graph has none."""
    users = table[_USER]
    if users.n_unique() < len(users):
        raise DataError(
            "a user must be there once; name a challenge where there are several. "
            f"Received: {path}, users={users.n_unique()}, lines={len(users)}"
        )
    return np.array([graph.row_of.get(user, -1) for user in users], np.int64)


def _probabilities(table: pl.DataFrame, path: Path) -> np.ndarray:
    values = table[_PROBABILITY].cast(pl.Float64, strict=False).to_numpy()
    # Written so that NaN is refused.
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(
            f"a probability must lie in [0, 1]. Received: {path}, column={_PROBABILITY}"
        )
    return values
