"""Baselines on TF-IDF vectors of words, hashtags and sounds."""

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
        known = np.unique(evidence.pairs.user[train])
        documents = [evidence.documents[user] for user in known]
        documents += evidence.pool_documents
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
            vectorizer.transform(evidence.documents),
            vectorizer.transform(evidence.challenge_documents),
        )


def one_vs_rest(
    evidence: Evidence, train: np.ndarray, text: TextSpace, rates: np.ndarray
) -> np.ndarray:
    """Returns corrections of the rates of joining from the terms of each user.

    For each challenge, a ridge regression on TF-IDF predicts label minus rate. Pairs
    that are not in training count as 0. Challenges without training pairs get zeros.

    Args:
        evidence: the pairs.
        train: positions of the training pairs.
        text: TF-IDF vectors.
        rates: float64 (num_challenges,), see `rates.popularity`.

    Returns:
        float64 (num_users, num_challenges), to be added to `rates`.
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
    """Returns the cosine of each history and each support.

    Returns:
        float64 (num_users, num_challenges), in [0, 1].
    """
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
