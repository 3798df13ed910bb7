"""Whom to ask first: users by their probability of joining a challenge."""

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

from tfrecords.storage.checksums import write_sealed_file
from dc_keras.corpus.store import write_table
from tfrecords.storage.read_errors import POLARS_ERRORS
from dc_keras.errors import DataError
from dc_keras.serving.client import ServedFunction
from tfrecords.storage.integrity import verify_file

# Rows a step: what is computed of them stays in the processor's cache.
_CHUNK = 2**14
# Rows a request, for a server that batches: `bundle` says how many it takes.
_SERVED_CHUNK = 2**12


@dataclass(frozen=True, eq=False)
class UserTable:
    """Users as a bundle prepares them for ranking.

    Attributes:
        users: keyed pseudonyms.
        prepared: float32 (num_users, p), of the signature `prepare_users`.
        bundle_sha256: of the bundle that prepared them.
        corpus_sha256: of the corpus that they were prepared from.
    """

    users: tuple[str, ...]
    prepared: np.ndarray
    bundle_sha256: str
    corpus_sha256: str

    def save(self, path: Path) -> None:
        """Writes a Parquet file, a row a user: `forget` takes people out of it."""
        columns = {
            "user_id": pl.Series(self.users, dtype=pl.String),
            "bundle_sha256": [self.bundle_sha256] * len(self.users),
            "corpus_sha256": [self.corpus_sha256] * len(self.users),
            "prepared": pl.Series(self.prepared),
        }
        write_sealed_file(path, lambda place: write_table(place, pl.DataFrame(columns)))

    @classmethod
    def load(cls, path: Path, bundle_sha256: str, corpus_sha256: str) -> UserTable:
        """Reads such a file.

        Args:
            path: of `save`.
            bundle_sha256: of the bundle that is to rank them.
            corpus_sha256: of the corpus as it is now.

        Raises:
            DataError: it is no such file or damaged, nobody is in it, or it is of
                another bundle or of another state of the corpus.
        """
        verify_file(path, "rank")
        try:
            table = pl.read_parquet(path)
            users, prepared = table["user_id"], table["prepared"]
            made_from = table.select("bundle_sha256", "corpus_sha256").unique().rows()
        except (OSError, *POLARS_ERRORS) as error:
            raise DataError(
                "prepared users must be a file that `rank` wrote; remove it, and they "
                f"are prepared anew. Received: users_file={path}"
            ) from error
        if made_from != [(bundle_sha256, corpus_sha256)]:
            raise DataError(
                "prepared users must be of the same bundle and of the corpus as it is "
                "now, without whoever was forgotten since; remove the file, and they "
                f"are prepared anew. Received: users_file={path}"
            )
        return cls(tuple(users), prepared.to_numpy(), bundle_sha256, corpus_sha256)


class Ranker:
    """Scores the same users for one challenge after another.

    What takes long is done once: users are cut into pieces that stay in the processor's
    cache, and the signature is compiled. The pieces go through it side by side. A
    server gets smaller pieces, one after another.

    Args:
        prepared: float32 (num_users, p), of `UserTable`, at least one.
        rank_users: that signature of the bundle, in process or on a server.
    """

    def __init__(self, prepared: np.ndarray, rank_users: Any) -> None:
        self._num_users = len(prepared)
        self._rank_users = rank_users
        self._is_served = isinstance(rank_users, ServedFunction)
        chunk = min(_SERVED_CHUNK if self._is_served else _CHUNK, self._num_users)
        missing = -self._num_users % chunk
        # One shape for all pieces: each other one would be compiled anew.
        padded = [
            prepared[start : start + chunk] for start in range(0, len(prepared), chunk)
        ]
        padded[-1] = np.pad(padded[-1], ((0, missing), (0, 0)))
        self._pieces = [tf.constant(piece) for piece in padded]
        self._compiled = tf.function(
            lambda prepared, challenge: rank_users(
                prepared=prepared, challenge=challenge
            )["probability"],
            jit_compile=True,
            autograph=False,
        )

    def score(self, challenge: np.ndarray) -> np.ndarray:
        """Returns the probability of each user to join, float32 (num_users,).

        Args:
            challenge: float32 (e,), x^c.
        """
        num_threads = 1 if self._is_served else os.cpu_count()
        score = self._score_served if self._is_served else self._score
        with ThreadPoolExecutor(num_threads) as pool:
            told = pool.map(lambda piece: score(piece, challenge[None]), self._pieces)
            return np.concatenate(list(told))[: self._num_users]

    def _score(self, piece: tf.Tensor, one: np.ndarray) -> np.ndarray:
        told: np.ndarray = self._compiled(piece, tf.constant(one, tf.float32)).numpy()
        return told

    def _score_served(self, piece: tf.Tensor, one: np.ndarray) -> np.ndarray:
        # A server that batches joins requests by rows: each has its challenge.
        every = np.repeat(one, len(piece), axis=0)
        told: np.ndarray = self._rank_users(prepared=piece, challenge=every)[
            "probability"
        ]
        return told


def choose_seeds(
    probability: np.ndarray,
    budget: int,
    communities: Sequence[str] | None = None,
) -> np.ndarray:
    """Returns the positions of the users to ask, best first.

    Without communities those of the highest probability. With them, the greedy choice
    for Σ over communities of √(Σ of the chosen ones' probabilities): a further user of
    a community counts less the more of it were chosen. The objective is submodular, so
    greedy reaches at least 1 − 1/e of the best (Nemhauser et al. 1978). Inside a
    community the likeliest is always the next, so one candidate each is enough.

    Args:
        probability: (num_users,).
        budget: how many to choose, at least 1; all where there are fewer.
        communities: of each user; "" stands alone.

    Raises:
        DataError: `budget` is under 1, or there is not one community a user.
    """
    if budget < 1:
        raise DataError(f"a budget must be at least 1. Received: budget={budget}")
    budget = min(budget, len(probability))
    # Stable: of equal ones the first comes first, on every machine.
    best = np.argsort(-probability, kind="stable")
    if communities is None:
        return best[:budget]
    if len(communities) != len(probability):
        raise DataError(
            "there must be a community a user. Received: "
            f"users={len(probability)}, communities={len(communities)}"
        )
    members: dict[str, list[int]] = {}
    for position in best.tolist():
        name = communities[position] or f"\0{position}"
        members.setdefault(name, []).append(position)
    # Gain, then position, of each community's next; none goes out of date.
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
