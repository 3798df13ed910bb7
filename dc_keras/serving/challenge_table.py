"""Table of a bundle's challenges inside a graph: lookup, scoring and ranking."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# x^u (B, d) and x^c (B, e) → probability (B,).
Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class ChallengeTable(tf.Module):
    """Names and representations of challenges, as a lookup table and variables.

    Args:
        challenges: names.
        representations: one row per challenge, and a last row for unknown names,
            float32 (num_challenges + 1, e).
        videos: the embedded posts of each challenge, padded with zeros, float32
            (num_challenges, n, w).
        valid: True where `videos` has a post, bool (num_challenges, n).

    Attributes:
        challenges: names.
        lookup: maps a name to its row, unknown names to -1. An export must track it.
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
        # With a last row of zeros for unknown names.
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
        """Returns `challenge`, x^c, (B, e), and `known_challenge`, (B,), of names."""
        row, known = self._find_row(name)
        return {"challenge": tf.gather(self._table, row), "known_challenge": known}

    def find_videos(self, name: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the posts of names: `challenge_videos` (B, n, w), `valid` (B, n)."""
        row, _ = self._find_row(name)
        return {
            "challenge_videos": tf.gather(self._videos, row),
            "valid": tf.gather(self._valid, row),
        }

    def answer(
        self, name: tf.Tensor, user: tf.Tensor, score: Score
    ) -> dict[str, tf.Tensor]:
        """Returns `probability` and `known_challenge`, (B,), of users and names."""
        found = self.find(name)
        return {
            "probability": score(user, found["challenge"]),
            "known_challenge": found["known_challenge"],
        }

    def rank(self, user: tf.Tensor, score: Score) -> dict[str, tf.Tensor]:
        """Ranks all challenges for each user, best first.

        Returns:
            `challenge`, the names, and `probability`, (B, num_challenges) each.
        """
        count = len(self.challenges)
        probability = score(
            tf.repeat(user, count, axis=0),
            tf.tile(self._table[:-1], (tf.shape(user)[0], 1)),
        )
        best = tf.math.top_k(tf.reshape(probability, (-1, count)), k=count)
        challenge = tf.gather(tf.constant(self.challenges), best.indices)
        return {"challenge": challenge, "probability": best.values}

    def _find_row(self, name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        row = self.lookup.lookup(name)
        known = row >= 0
        return tf.where(known, row, len(self.challenges)), known


def fit_to(values: tf.Tensor, count: int) -> tf.Tensor:
    """Truncates the second dimension, or pads it with "", 0 or False, to `count`."""
    values = values[:, :count]
    rest = values.shape[2:]
    missing = count - tf.shape(values)[1]
    margins = [[0, 0], [0, missing], *([0, 0] for _ in rest)]
    padded = tf.pad(values, margins, constant_values=tf.zeros((), values.dtype))
    return tf.ensure_shape(padded, (None, count, *rest))
