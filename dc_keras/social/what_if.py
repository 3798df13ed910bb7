"""Reads the seeds of a new challenge and the readiness of the other users."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dc_keras.errors import DataError
from dc_keras.social.graph import SocialGraph
from dc_keras.social.model_scores import read_answers, read_probabilities


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
        DataError: as for `model_scores.read_answers`, or a seed is not in the graph, or
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

    Args:
        path: file with `user_id` and `probability`; users outside the graph are
            ignored.
        graph: the graph of the users.
        challenge: name of the challenge whose rows are used; None if there is only one.

    Raises:
        DataError: as for `model_scores.read_probabilities`, or all probabilities are 0.
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
