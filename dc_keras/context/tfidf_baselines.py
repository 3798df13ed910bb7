"""Baselines on TF-IDF vectors of words, hashtags and sounds, and on embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from dc_keras.context.fold_data import Evidence

# Minimum number of documents with a term.
_MIN_DOCUMENTS = 2
ONE_VS_REST_ALPHA = 3.0
NUM_NEIGHBOURS = 50


@dataclass(frozen=True)
class TextSpace:
    """TF-IDF vectors of unit length over the terms of training users and the pool.

    Attributes:
        users: sparse float64 (num_users, num_terms).
        challenges: sparse float64 (num_challenges, num_terms).
    """

    users: Any
    challenges: Any

    @classmethod
    def of(cls, evidence: Evidence, train: np.ndarray) -> TextSpace:
        """Fits TF-IDF on training users and the pool, and transforms all documents."""
        users, challenges, pool = (
            [[t for row in rows for t in evidence.facts.terms[row]] for rows in sets]
            for sets in (
                evidence.histories,
                evidence.support,
                evidence.pool_histories,
            )
        )
        known = np.unique(evidence.pairs.user[train])
        documents = [*(users[user] for user in known), *pool]
        vectorizer = TfidfVectorizer(
            analyzer=_identity, sublinear_tf=True, min_df=_MIN_DOCUMENTS
        )
        if _repeats_a_term(documents):
            vectorizer.fit(documents)
        else:
            # scikit-learn rejects an empty vocabulary; this one gives zero vectors.
            vectorizer = TfidfVectorizer(analyzer=_identity, vocabulary=[""])
            vectorizer.fit([[""]])
        return cls(
            vectorizer.transform(users),
            vectorizer.transform(challenges),
        )


def one_vs_rest(
    evidence: Evidence, train: np.ndarray, text: TextSpace, rates: np.ndarray
) -> np.ndarray:
    """Returns corrections of the rates of joining, float64 (num_users, num_challenges).

    For each challenge, a ridge regression on TF-IDF predicts label minus rate. Pairs
    that are not in training count as 0. Challenges without training pairs get zeros.

    Args:
        evidence: the pairs.
        train: positions of the training pairs.
        text: TF-IDF vectors.
        rates: float64 (num_challenges,), see `label_features.popularity`.
    """
    pairs = evidence.pairs
    user, topic = pairs.user[train], evidence.pair_topic[train]
    residual = np.zeros((len(evidence.person), int(evidence.topic.max()) + 1))
    residual[user, topic] = pairs.label[train] - rates[pairs.challenge[train]]
    known = np.unique(user)
    ridge = Ridge(alpha=ONE_VS_REST_ALPHA, fit_intercept=False)
    ridge.fit(text.users[known], residual[known])
    # For one challenge, scikit-learn returns a vector.
    predicted = np.asarray(ridge.predict(text.users).reshape(len(residual), -1))
    return predicted[:, evidence.topic]


def cosine(text: TextSpace) -> np.ndarray:
    """Returns cosines of histories and supports, (num_users, num_challenges)."""
    return np.asarray((text.users @ text.challenges.T).todense())


def _identity(document: list[str]) -> list[str]:
    return document


def _repeats_a_term(documents: Sequence[list[str]]) -> bool:
    seen: set[str] = set()
    for document in documents:
        terms = set(document)
        if terms & seen:
            return True
        seen |= terms
    return False


def caption_neighbours(
    evidence: Evidence, vectors: np.ndarray | None, train: np.ndarray
) -> np.ndarray:
    """Returns the share of each user's nearest neighbours who joined each challenge.

    The neighbours are the `NUM_NEIGHBOURS` other training users whose mean caption
    embeddings have the largest cosine with that of the user, or all of them if there
    are fewer. Pairs that are not in training count as the mean of their challenge,
    which is also the share of a user without neighbours.

    Returns:
        float64 (num_users, num_challenges), in [0, 1]; zeros without captions.
    """
    num_users, num_challenges = len(evidence.person), len(evidence.topic)
    if vectors is None:
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
    users = _mean_embeddings(evidence.histories, vectors)
    similarity = _cosine(users, users[known])
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


def caption_cosine(evidence: Evidence, vectors: np.ndarray | None) -> np.ndarray:
    """Returns the cosine of the mean caption embeddings of history and support.

    `vectors` are caption embeddings of all posts, float32 (num_posts, dim), or None.

    Returns:
        float64 (num_users, num_challenges), in [−1, 1]; zeros without captions.
    """
    if vectors is None:
        return np.zeros((len(evidence.person), len(evidence.topic)))
    sides = (evidence.histories, evidence.support)
    return _cosine(*(_mean_embeddings(sets, vectors) for sets in sides))


def _mean_embeddings(sets: Sequence[np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """Returns means of the unit-length embeddings of sets; 0 for an empty one."""
    means = np.zeros((len(sets), vectors.shape[1]), np.float32)
    for number, rows in enumerate(sets):
        if len(rows):
            lengths = np.linalg.norm(vectors[rows], axis=1, keepdims=True)
            means[number] = (vectors[rows] / np.maximum(lengths, 1e-9)).mean(axis=0)
    return means


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    lengths = [np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right)]
    left, right = (
        side / np.maximum(length, 1e-9)
        for side, length in zip((left, right), lengths, strict=True)
    )
    return np.asarray(left.astype(np.float64) @ right.astype(np.float64).T)
