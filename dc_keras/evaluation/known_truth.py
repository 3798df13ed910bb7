"""Reads the true probabilities of a simulated world for a grid."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dc_keras.corpus.pseudonyms import Pseudonymizer
from dc_keras.errors import DataError
from dc_keras.study.participation import Grid
from tfrecords.storage.read_errors import reading


def load_truth(path: Path, grid: Grid, pseudonymizer: Pseudonymizer) -> np.ndarray:
    """Reads the probabilities from which a simulated world drew its labels.

    Args:
        path: the truth.json of the world.
        grid: the grid of users and challenges.
        pseudonymizer: pseudonymizer with the key used to import the world.

    Returns:
        float64 (num_users, num_challenges), in (0, 1).

    Raises:
        DataError: if the file is not a truth.json, or lacks a user or challenge of the
            grid.
    """
    with reading(path, "the truth.json of a simulated world"):
        truth = json.loads(path.read_text(encoding="utf-8"))
        rows = {pseudonymizer.user(u): row for row, u in enumerate(truth["users"])}
        columns = {name: column for column, name in enumerate(truth["challenges"])}
        table = np.array(truth["probabilities"], np.float64)
    if table.shape != (len(rows), len(columns)):
        raise DataError(
            f"{path} must have a probability for each of {len(rows)} users and "
            f"{len(columns)} challenges. Received: shape={table.shape}"
        )
    missing = [user for user in grid.users if user not in rows]
    missing += [name for name in grid.challenges if name not in columns]
    if missing:
        raise DataError(
            f"{path} must have all users and challenges of the study, imported with "
            f"the key in --key_file. Received: {len(missing)} missing, the first is "
            f"{missing[0]}"
        )
    users = [rows[user] for user in grid.users]
    return table[np.ix_(users, [columns[name] for name in grid.challenges])]
