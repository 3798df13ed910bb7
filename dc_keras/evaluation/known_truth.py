"""The known truth of a simulated world, brought to a grid's users and challenges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dc_keras.study.participation import Grid
from dc_keras.corpus.pseudonyms import Pseudonymizer
from tfrecords.storage.read_errors import reading
from dc_keras.errors import DataError


def load_truth(path: Path, grid: Grid, pseudonymizer: Pseudonymizer) -> np.ndarray:
    """Reads the probabilities that a simulated world drew its labels from.

    Args:
        path: truth.json.
        grid: whose pairs are wanted.
        pseudonymizer: with the key that the world was imported under.

    Returns:
        float64 (num_users, num_challenges), in (0, 1).

    Raises:
        DataError: it is no truth.json, or it does not know a user or challenge of the
            grid.
    """
    with reading(path, "the truth.json of a simulated world"):
        known_users, known_challenges, table = _read(path)
        rows = {pseudonymizer.user(user): row for row, user in enumerate(known_users)}
        columns = {name: column for column, name in enumerate(known_challenges)}
    strangers = [user for user in grid.users if user not in rows]
    strangers += [name for name in grid.challenges if name not in columns]
    if strangers:
        raise DataError(
            f"{path} knows nothing of {len(strangers)} users or challenges of the "
            f"study, the first is {strangers[0]}; is it the world that was imported, "
            "and --key_file the key it was imported with?"
        )
    users = [rows[user] for user in grid.users]
    return table[np.ix_(users, [columns[name] for name in grid.challenges])]


def _read(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    truth = json.loads(path.read_text(encoding="utf-8"))
    users, challenges = list(truth["users"]), list(truth["challenges"])
    table = np.array(truth["probabilities"], np.float64)
    if table.shape != (len(users), len(challenges)):
        raise DataError(
            f"{path} must hold a probability for each of {len(users)} users and "
            f"{len(challenges)} challenges. Received: shape={table.shape}"
        )
    return users, challenges, table
