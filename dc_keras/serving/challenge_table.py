"""The challenges that a bundle knows, by name, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# x^u (B, d) and x^c (B, e) → probability (B,).
Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class ChallengeTable(tf.Module):
    """Names and representations, as variables and a lookup table of a graph.

    Args:
        challenges: their names.
        representations: float32 (num_challenges + 1, e), a row a challenge; the last
            answers for unknown names.
        videos: float32 (num_challenges, n, w), the embedded posts behind a
            representation, padded with zeros.
        valid: bool (num_challenges, n), where there is one.

    Attributes:
        challenges: the same.
        lookup: from a name to its row, -1 for others; an export has to be told of it.
    """

    def __init__(
        self,
        challenges: tuple[str, ...],
        representations: np.ndarray | tf.Tensor,
        videos: np.ndarray,
        valid: np.ndarray,
    ) -> None:
        super().__init__()
        self.challenges = challenges
        self._table = tf.Variable(
            representations, trainable=False, name="challenge_table"
        )
        # A row more, of nothing, for unknown names.
        self._videos = tf.Variable(
            np.pad(videos, ((0, 1), (0, 0), (0, 0))),
            trainable=False,
            name="challenge_videos",
        )
        self._valid = tf.Variable(
            np.pad(valid, ((0, 1), (0, 0))), trainable=False, name="challenge_valid"
        )
        rows = tf.range(len(challenges))
        content = tf.lookup.KeyValueTensorInitializer(tf.constant(challenges), rows)
        self.lookup = tf.lookup.StaticHashTable(content, default_value=-1)

    def find(self, name: tf.Tensor) -> dict[str, tf.Tensor]:
        """Looks names up: `challenge` x^c, (B, e), and `known_challenge`, (B,)."""
        row, known = self._row(name)
        return {"challenge": tf.gather(self._table, row), "known_challenge": known}

    def find_videos(self, name: tf.Tensor) -> dict[str, tf.Tensor]:
        """Finds what describes names: `challenge_videos` (B, n, w), `valid` (B, n)."""
        row, _ = self._row(name)
        return {
            "challenge_videos": tf.gather(self._videos, row),
            "valid": tf.gather(self._valid, row),
        }

    def answer(
        self, name: tf.Tensor, user: tf.Tensor, score: Score
    ) -> dict[str, tf.Tensor]:
        """Says of each user and name: `probability` and `known_challenge`, (B,)."""
        found = self.find(name)
        return {
            "probability": score(user, found["challenge"]),
            "known_challenge": found["known_challenge"],
        }

    def rank(self, user: tf.Tensor, score: Score) -> dict[str, tf.Tensor]:
        """Ranks all for each user: `challenge`, `probability` (B, C), best first."""
        count = len(self.challenges)
        told = score(
            tf.repeat(user, count, axis=0),
            tf.tile(self._table[:-1], (tf.shape(user)[0], 1)),
        )
        best = tf.math.top_k(tf.reshape(told, (-1, count)), k=count)
        challenge = tf.gather(tf.constant(self.challenges), best.indices)
        return {"challenge": challenge, "probability": best.values}

    def _row(self, name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = self.lookup.lookup(name)
        known = found >= 0
        return tf.where(known, found, len(self.challenges)), known
