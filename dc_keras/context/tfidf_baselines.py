"""Baselines on TF-IDF of words, tags and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from dc_keras.context.fold_data import Evidence

# Terms of one document alone tell nothing of another.
_LEAST_DOCUMENTS = 2
ONE_VS_REST_ALPHA = 3.0


@dataclass(frozen=True)
class TextSpace:
    """TF-IDF vectors, of length 1, over the terms of training users and the pool.

    Attributes:
        users: sparse float64 (num_users, num_terms).
        challenges: sparse float64 (num_challenges, num_terms).
        pool: sparse float64 (num_pool, num_terms).
    """

    users: Any
    challenges: Any
    pool: Any

    @classmethod
    def of(cls, evidence: Evidence, train: np.ndarray) -> TextSpace:
        """Learns terms and their weights from training users and the pool."""
        known = np.unique(evidence.pairs.user[train])
        documents = [evidence.documents[user] for user in known]
        documents += evidence.pool_documents
        vectorizer = TfidfVectorizer(
            analyzer=_as_it_is, sublinear_tf=True, min_df=_LEAST_DOCUMENTS
        )
        if _repeats_a_term(documents):
            vectorizer.fit(documents)
        else:
            # Nothing to learn from: vectors of zeros.
            vectorizer = TfidfVectorizer(analyzer=_as_it_is, vocabulary=[""])
            vectorizer.fit([[""]])
        return cls(
            *(
                vectorizer.transform(part) if part else vectorizer.transform([[]])[:0]
                for part in (
                    evidence.documents,
                    evidence.challenge_documents,
                    evidence.pool_documents,
                )
            )
        )


def one_vs_rest(
    evidence: Evidence, train: np.ndarray, text: TextSpace, rates: np.ndarray
) -> np.ndarray:
    """Returns how far the words of each user move them towards each challenge.

    One ridge regression a challenge, of label minus `rates` on TF-IDF; pairs that are
    not in training count as expected. A challenge without training pairs gets zeros.

    Args:
        evidence: the pairs.
        train: positions of the training pairs.
        text: TF-IDF vectors.
        rates: of `rates.popularity`.

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
    predicted = _two_dimensional(ridge.predict(text.users))
    return predicted[:, evidence.topic]


def cosine(text: TextSpace) -> np.ndarray:
    """Returns the cosine of each history with each support, in [0, 1].

    Returns:
        float64 (num_users, num_challenges).
    """
    return np.asarray((text.users @ text.challenges.T).todense())


def _as_it_is(document: list[str]) -> list[str]:
    return document


def _repeats_a_term(documents: Sequence[list[str]]) -> bool:
    seen: set[str] = set()
    for document in documents:
        terms = set(document)
        if terms & seen:
            return True
        seen |= terms
    return False


def _two_dimensional(predicted: np.ndarray) -> np.ndarray:
    # scikit-learn gives one dimension for one challenge.
    return np.asarray(predicted.reshape(len(predicted), -1))
