"""The participation model: probability of joining from a user and a challenge vector.

The model combines the fusion of videos (section IV-C) and context features. `evaluate`,
`train` and `export_model` all use it to score pairs. The vector of a user is
[x^u, context] and that of a challenge is [x^c, context]. A model without videos or
without context has the other part only.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from dc_keras.context.context_model import ContextModel
from dc_keras.context.pair_features import log_odds
from dc_keras.errors import DataError
from dc_keras.models.deep_challenger import HEAD

# Batch size in pairs.
_CHUNK = 8192


@dataclass(frozen=True, eq=False)
class ParticipationModel:
    """A fitted participation model.

    Attributes:
        fusion: the fusion of videos, a baseline of the paper, or None.
        context: the context model, or None.

    Raises:
        DataError: if both are None.
    """

    fusion: keras.Model | None
    context: ContextModel | None

    def __post_init__(self) -> None:
        if self.fusion is None and self.context is None:
            raise DataError("a model must use videos or context. Received: neither")

    @property
    def video_widths(self) -> tuple[int, int]:
        """Widths of x^u and x^c; 0 without videos."""
        if self.fusion is None:
            return 0, 0
        of_challenge, of_user = self.fusion.get_layer(HEAD).input
        return int(of_user.shape[-1]), int(of_challenge.shape[-1])

    @property
    def user_width(self) -> int:
        """Width of a user's vector."""
        layout = self.context and self.context.pairs.layout
        return self.video_widths[0] + (layout.user_width if layout else 0)

    @property
    def challenge_width(self) -> int:
        """Width of a challenge's vector."""
        layout = self.context and self.context.pairs.layout
        return self.video_widths[1] + (layout.challenge_width if layout else 0)

    def score(self, users: tf.Tensor, challenges: tf.Tensor) -> tf.Tensor:
        """Returns uncalibrated probabilities of joining, float32 (batch_size,).

        Args:
            users: float32 (batch_size, user_width).
            challenges: float32 (batch_size, challenge_width).
        """
        of_user, of_challenge = self.video_widths
        videos = None
        if self.fusion is not None:
            head = self.fusion.get_layer(HEAD)
            videos = head(
                [challenges[:, :of_challenge], users[:, :of_user]], training=False
            )
        return self.weigh(videos, users[:, of_user:], challenges[:, of_challenge:])

    def weigh(
        self, videos: tf.Tensor | None, users: tf.Tensor, challenges: tf.Tensor
    ) -> tf.Tensor:
        """Combines the probability by the fusion with the context.

        Args:
            videos: float32 (batch_size,), probabilities by the fusion; None without.
            users: float32 (batch_size, width), context of users.
            challenges: float32 (batch_size or 1, width), context of challenges.

        Returns:
            Uncalibrated probabilities of joining, float32 (batch_size,).
        """
        if self.context is None:
            return tf.convert_to_tensor(videos)
        of_videos = None if videos is None else log_odds(videos)
        return tf.sigmoid(self.context.log_odds(users, challenges, of_videos))

    def predict(
        self,
        users: np.ndarray,
        challenges: np.ndarray,
        user: np.ndarray,
        challenge: np.ndarray,
    ) -> np.ndarray:
        """Returns uncalibrated probabilities of pairs, float32 (num_pairs,).

        Args:
            users: float32 (num_users, user_width).
            challenges: float32 (num_challenges, challenge_width).
            user: int (num_pairs,), row of each pair's user.
            challenge: int (num_pairs,), row of each pair's challenge.
        """
        # Compiling would take longer than scoring the pairs of a fold.
        probability = np.zeros(len(user), np.float32)
        for start in range(0, len(user), _CHUNK):
            rows = slice(start, start + _CHUNK)
            probability[rows] = self.score(
                tf.constant(users[user[rows]]), tf.constant(challenges[challenge[rows]])
            )
        return probability
