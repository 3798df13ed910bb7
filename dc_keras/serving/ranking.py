"""Ranks users by their probability of joining a challenge, and chooses seed users."""

from __future__ import annotations

import heapq
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from dc_keras.errors import DataError
from dc_keras.serving.client import Client
from tfrecords.memory import aligned_empty
from tfrecords.storage.read_errors import reading

if TYPE_CHECKING:
    from dc_keras.serving.local_model import LocalModel
    from dc_keras.serving.predictor import Predictor
    from dc_keras.serving.raw_requests import RawUser

USER_COLUMNS: Mapping[str, Any] = {
    "user_id": pl.String,
    "prepared": pl.List(pl.Float32),
}
# Rows per step; their intermediate results fit into the processor's cache.
_CHUNK = 2**14
# Rows per request to a server; max_batch_size in `bundle`.
_SERVED_CHUNK = 2**12


def prepare_users(
    predictor: Predictor, users: Sequence[str], raw_users: Sequence[RawUser]
) -> pl.DataFrame:
    """Returns users as a bundle ranks them, with the columns of `USER_COLUMNS`.

    Args:
        predictor: the bundle.
        users: keyed pseudonyms.
        raw_users: their posts and facts.
    """
    prepared = predictor.prepare_users(predictor.represent_users(raw_users))
    columns = {
        "user_id": pl.Series(users, dtype=pl.String),
        "prepared": pl.Series(prepared, dtype=USER_COLUMNS["prepared"]),
    }
    return pl.DataFrame(columns)


def read_users(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Reads a table of `prepare_users`.

    Returns:
        The keyed pseudonyms, and the outputs of the signature `prepare_users`, float32
        (num_users, p), in memory that TensorFlow reads without a copy.

    Raises:
        DataError: the file is damaged or has another format.
    """
    with reading(path, "users that `rank` has prepared"):
        table = pl.read_parquet(path, columns=list(USER_COLUMNS))
        if table.is_empty():
            return (), np.empty((0, 0), np.float32)
        width = table["prepared"].list.len()[0]
        shape = pl.Array(pl.Float32, width)
        prepared = aligned_empty((len(table), width), np.float32)
        prepared[:] = table["prepared"].cast(shape).to_numpy()
        return tuple(table["user_id"]), prepared


def keep_best(candidates: pl.DataFrame, budget: int) -> pl.DataFrame:
    """Returns the rows that `choose_seeds` can choose, sorted by user_id.

    These are the users of each community with the highest probabilities, as many as
    the budget; "" counts as a community.

    Args:
        candidates: user_id, community and probability, sorted by user_id.
        budget: number of users to choose, at least 1.
    """
    # The stable sort makes the order of equal users reproducible.
    best = candidates.sort("probability", descending=True, maintain_order=True)
    kept = best.group_by("community", maintain_order=True).head(budget)
    return kept.select(candidates.columns).sort("user_id")


class Ranker:
    """Scores the same users for one challenge after another.

    The users are split into chunks that fit into the processor's cache, and are scored
    in parallel. A server receives smaller chunks, one after another.

    Args:
        prepared: prepared users, float32 (num_users, p), at least one.
        model: the bundle with the signature `rank_users`, in process or on a server.
    """

    def __init__(self, prepared: np.ndarray, model: LocalModel | Client) -> None:
        self._num_users = len(prepared)
        self._model = model
        self._is_served = isinstance(model, Client)
        # A power of two, so that tables of similar sizes share a compiled function.
        chunk = min(
            _SERVED_CHUNK if self._is_served else _CHUNK,
            1 << (self._num_users - 1).bit_length(),
        )
        missing = -self._num_users % chunk
        # All chunks have one shape, because each shape is compiled separately.
        self._chunks = [
            prepared[start : start + chunk] for start in range(0, len(prepared), chunk)
        ]
        self._chunks[-1] = np.pad(self._chunks[-1], ((0, missing), (0, 0)))

    def score(self, challenge: np.ndarray) -> np.ndarray:
        """Returns the probability that each user joins, float32 (num_users,).

        Args:
            challenge: vector of the challenge, x^c, float32 (e,).
        """
        # A batching server concatenates requests, so each row needs the challenge.
        num_rows = len(self._chunks[0]) if self._is_served else 1
        challenges = np.repeat(challenge[None], num_rows, axis=0)

        def score(rows: np.ndarray) -> np.ndarray:
            inputs = {"prepared": rows, "challenge": challenges}
            return self._model.predict("rank_users", inputs)["probability"]

        with ThreadPoolExecutor(1 if self._is_served else os.cpu_count()) as pool:
            return np.concatenate([*pool.map(score, self._chunks)])[: self._num_users]


def choose_seeds(
    probability: np.ndarray,
    budget: int,
    communities: Sequence[str] | None = None,
) -> np.ndarray:
    """Returns the positions of the users to address, best first.

    Without communities, these are the users of the highest probability. With
    communities, users are chosen greedily to maximise the sum over communities of
    √(Σ probabilities of the chosen users), so that each further user of a community
    adds less. The objective is submodular, so the greedy choice reaches at least
    1 − 1/e of the optimum (Nemhauser et al. 1978). Within a community users are chosen
    in order of probability, so only one candidate per community is compared.

    Args:
        probability: probabilities of the users, (num_users,).
        budget: number of users to choose, at least 1; at most all are returned.
        communities: community of each user; "" is a community of one user.

    Raises:
        DataError: `budget` is under 1, or `communities` has another length.
    """
    if budget < 1:
        raise DataError(f"a budget must be at least 1. Received: budget={budget}")
    budget = min(budget, len(probability))
    # The stable sort makes the order of equal users reproducible.
    best = np.argsort(-probability, kind="stable")
    if communities is None:
        return best[:budget]
    if len(communities) != len(probability):
        raise DataError(
            "`communities` must have one entry per user. Received: "
            f"users={len(probability)}, communities={len(communities)}"
        )
    members: dict[str, list[int]] = {}
    for position in best.tolist():
        name = communities[position] or f"\0{position}"
        members.setdefault(name, []).append(position)
    # The gain and position of each community's next user. A gain never becomes stale,
    # because it depends only on its own community.
    queue = [
        (-np.sqrt(probability[m[0]]), m[0], name, 0) for name, m in members.items()
    ]
    heapq.heapify(queue)
    total = dict.fromkeys(members, 0.0)
    chosen: list[int] = []
    while len(chosen) < budget:
        _, position, name, index = heapq.heappop(queue)
        chosen.append(position)
        total[name] += float(probability[position])
        if index + 1 < len(members[name]):
            following = members[name][index + 1]
            gain = np.sqrt(total[name] + probability[following]) - np.sqrt(total[name])
            heapq.heappush(queue, (-gain, following, name, index + 1))
    return np.array(chosen)
