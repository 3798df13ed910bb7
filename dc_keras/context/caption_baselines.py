"""Baselines on caption embeddings: nearest neighbours and cosines."""

from __future__ import annotations

import numpy as np

from dc_keras.context.fold_data import Evidence

NUM_NEIGHBOURS = 50


def caption_neighbours(evidence: Evidence, train: np.ndarray) -> np.ndarray:
    """Returns the share of each user's nearest neighbours who joined each challenge.

    The neighbours are the `NUM_NEIGHBOURS` other training users whose mean caption
    embeddings have the largest cosine with that of the user, or all of them if there
    are fewer. Pairs that are not in training count as the mean of their challenge,
    which is also the share of a user without neighbours.

    Returns:
        float64 (num_users, num_challenges), in [0, 1]; zeros without captions.
    """
    num_users, num_challenges = len(evidence.person), len(evidence.topic)
    if evidence.user_embeddings is None:
        return np.zeros((num_users, num_challenges))
    pairs = evidence.pairs
    user, topic = pairs.user[train], evidence.pair_topic[train]
    joins = np.full((num_users, int(evidence.topic.max()) + 1), np.nan)
    joins[user, topic] = pairs.label[train]
    known = np.unique(user)
    joined = joins[known]
    count = np.maximum((~np.isnan(joined)).sum(axis=0), 1)
    mean = np.where(np.isnan(joined), 0.0, joined).sum(axis=0) / count
    joined = np.where(np.isnan(joined), mean, joined)
    similarity = _cosine(evidence.user_embeddings, evidence.user_embeddings[known])
    own = evidence.person[:, None] == evidence.person[known]
    similarity[own] = -np.inf
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NUM_NEIGHBOURS]
    weights = np.zeros(similarity.shape)
    np.put_along_axis(weights, nearest, 1.0, axis=1)
    weights[own] = 0.0
    num_neighbours = weights.sum(axis=1, keepdims=True)
    share = weights @ joined / np.maximum(num_neighbours, 1)
    share = np.where(num_neighbours > 0, share, mean)
    return np.asarray(share[:, evidence.topic])


def caption_cosine(evidence: Evidence) -> np.ndarray:
    """Returns the cosine of the mean caption embeddings of history and support.

    Returns:
        float64 (num_users, num_challenges), in [−1, 1]; zeros without captions.
    """
    if evidence.user_embeddings is None or evidence.challenge_embeddings is None:
        return np.zeros((len(evidence.person), len(evidence.topic)))
    return _cosine(evidence.user_embeddings, evidence.challenge_embeddings)


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    lengths = [np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right)]
    left, right = (
        side / np.maximum(length, 1e-9)
        for side, length in zip((left, right), lengths, strict=True)
    )
    return np.asarray(left.astype(np.float64) @ right.astype(np.float64).T)
