"""Ranks users by their probability of joining a challenge, and chooses seed users."""

from __future__ import annotations

import heapq
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf

from dc_keras.corpus.store import write_table
from dc_keras.errors import DataError
from dc_keras.serving.client import ServedFunction
from tfrecords.storage.checksums import write_sealed_file
from tfrecords.storage.integrity import verify_file
from tfrecords.storage.read_errors import POLARS_ERRORS

# Rows per step; their intermediate results fit into the processor's cache.
_CHUNK = 2**14
# Rows per request to a server; max_batch_size in `bundle`.
_SERVED_CHUNK = 2**12


@dataclass(frozen=True, eq=False)
class UserTable:
    """Users prepared by a bundle for ranking.

    Attributes:
        users: keyed pseudonyms.
        prepared: outputs of the signature `prepare_users`, float32 (num_users, p).
        bundle_sha256: SHA-256 of the bundle.
        corpus_sha256: SHA-256 of the corpus.
    """

    users: tuple[str, ...]
    prepared: np.ndarray
    bundle_sha256: str
    corpus_sha256: str

    def save(self, path: Path) -> None:
        """Writes a Parquet file with one row per user, so that `forget` can edit it."""
        columns = {
            "user_id": pl.Series(self.users, dtype=pl.String),
            "bundle_sha256": [self.bundle_sha256] * len(self.users),
            "corpus_sha256": [self.corpus_sha256] * len(self.users),
            "prepared": pl.Series(self.prepared),
        }
        write_sealed_file(path, lambda place: write_table(place, pl.DataFrame(columns)))

    @classmethod
    def load(cls, path: Path, bundle_sha256: str, corpus_sha256: str) -> UserTable:
        """Reads a file that `save` wrote.

        Args:
            path: the file.
            bundle_sha256: SHA-256 of the bundle that will rank the users.
            corpus_sha256: SHA-256 of the current corpus.

        Raises:
            DataError: the file is damaged, empty or has another format, or it was made
                with another bundle or another state of the corpus.
        """
        verify_file(path, "rank")
        try:
            table = pl.read_parquet(path)
            users, prepared = table["user_id"], table["prepared"]
            made_from = table.select("bundle_sha256", "corpus_sha256").unique().rows()
        except (OSError, *POLARS_ERRORS) as error:
            raise DataError(
                "prepared users must be a file that `rank` wrote; remove it to prepare "
                f"them again. Received: users_file={path}"
            ) from error
        if made_from != [(bundle_sha256, corpus_sha256)]:
            raise DataError(
                "prepared users must be made with the same bundle and the current "
                "corpus, without users who were removed since; remove the file to "
                f"prepare them again. Received: users_file={path}"
            )
        return cls(tuple(users), prepared.to_numpy(), bundle_sha256, corpus_sha256)


class Ranker:
    """Scores the same users for one challenge after another.

    The users are split into chunks that fit into the processor's cache, and the
    signature is compiled, once. The chunks are scored in parallel. A server receives
    smaller chunks, one after another.

    Args:
        prepared: prepared users of a `UserTable`, float32 (num_users, p), at least one.
        rank_users: the bundle's signature `rank_users`, in process or on a server.
    """

    def __init__(self, prepared: np.ndarray, rank_users: Any) -> None:
        self._num_users = len(prepared)
        self._rank_users = rank_users
        self._is_served = isinstance(rank_users, ServedFunction)
        chunk = min(_SERVED_CHUNK if self._is_served else _CHUNK, self._num_users)
        missing = -self._num_users % chunk
        # All chunks have one shape, because each shape is compiled separately.
        padded = [
            prepared[start : start + chunk] for start in range(0, len(prepared), chunk)
        ]
        padded[-1] = np.pad(padded[-1], ((0, missing), (0, 0)))
        self._chunks = [tf.constant(rows) for rows in padded]
        self._compiled = tf.function(
            lambda prepared, challenge: rank_users(
                prepared=prepared, challenge=challenge
            )["probability"],
            jit_compile=True,
            autograph=False,
        )

    def score(self, challenge: np.ndarray) -> np.ndarray:
        """Returns the probability that each user joins, float32 (num_users,).

        Args:
            challenge: vector of the challenge, x^c, float32 (e,).
        """
        num_threads = 1 if self._is_served else os.cpu_count()
        score = self._score_served if self._is_served else self._score
        with ThreadPoolExecutor(num_threads) as pool:
            scores = pool.map(lambda rows: score(rows, challenge[None]), self._chunks)
            return np.concatenate(list(scores))[: self._num_users]

    def _score(self, rows: tf.Tensor, challenge: np.ndarray) -> np.ndarray:
        scores = self._compiled(rows, tf.constant(challenge, tf.float32))
        return np.asarray(scores.numpy())

    def _score_served(self, rows: tf.Tensor, challenge: np.ndarray) -> np.ndarray:
        # A batching server concatenates requests, so each row needs the challenge.
        repeated = np.repeat(challenge, len(rows), axis=0)
        scores = self._rank_users(prepared=rows, challenge=repeated)["probability"]
        return np.asarray(scores)


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
