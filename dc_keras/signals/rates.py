"""How often: popularity of challenges, propensity of users."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from dc_keras.signals.evidence import Evidence
from dc_keras.signals.text import TextSpace

# How many pairs the mean rate is worth when the rate of a challenge is shrunk to it,
# and the predicted rate of a user when their own is.
POPULARITY_PRIOR_PAIRS = 4.0
PROPENSITY_PRIOR_PAIRS = 20.0
# Strong: a user's rate is a noisy thing to learn from words.
PROPENSITY_ALPHA = 10.0
_LEAST_RATE = 1e-3


def mean_rate(evidence: Evidence, train: np.ndarray) -> float:
    """Returns the share of training pairs that joined."""
    return float(evidence.pairs.label[train].mean())


def popularity(evidence: Evidence, train: np.ndarray) -> np.ndarray:
    """Returns the rate at which each challenge is joined, shrunk to the mean rate.

    (joins + supporters + k·mean) / (pairs + pool + k) over the training pairs and the
    users set aside to describe challenges, k = `POPULARITY_PRIOR_PAIRS`. A challenge
    without training pairs has the pool's part alone.

    Args:
        evidence: the pairs and the pool.
        train: positions of the training pairs.

    Returns:
        float64 (num_challenges,), in (0, 1).
    """
    topic = evidence.pair_topic[train]
    num_topics = int(evidence.topic.max()) + 1
    label = evidence.pairs.label[train]
    joins = np.bincount(topic, weights=label, minlength=num_topics)[evidence.topic]
    count = np.bincount(topic, minlength=num_topics)[evidence.topic]
    joins = joins + evidence.pool_joined.sum(axis=0)
    count = count + len(evidence.pool_joined)
    k = POPULARITY_PRIOR_PAIRS
    return np.asarray((joins + k * mean_rate(evidence, train)) / (count + k))


def propensity_of_words(
    evidence: Evidence, train: np.ndarray, text: TextSpace
) -> np.ndarray:
    """Returns how readily each user joins anything, by the words of their history.

    A ridge regression of the training users' rates on TF-IDF.

    Returns:
        float64 (num_users,), at least .001.
    """
    mean = mean_rate(evidence, train)
    known = np.unique(evidence.pairs.user[train])
    if text.users.nnz == 0:
        return np.full(len(evidence.person), max(mean, _LEAST_RATE))
    joins, count = _joins_and_pairs(evidence, train)
    k = POPULARITY_PRIOR_PAIRS
    rates = (joins + k * mean) / (count + k)
    ridge = Ridge(alpha=PROPENSITY_ALPHA).fit(text.users[known], rates[known])
    return np.asarray(np.clip(ridge.predict(text.users), _LEAST_RATE, 1.0))


def propensity(evidence: Evidence, train: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Returns `words` mended by each user's own training pairs, where there are any.

    (joins + k·words) / (pairs + k), k = `PROPENSITY_PRIOR_PAIRS`.

    Args:
        evidence: the pairs.
        train: positions of the training pairs.
        words: of `propensity_of_words`.

    Returns:
        float64 (num_users,), in (0, 1].
    """
    joins, count = _joins_and_pairs(evidence, train)
    k = PROPENSITY_PRIOR_PAIRS
    return np.asarray((joins + k * words) / (count + k))


def _joins_and_pairs(
    evidence: Evidence, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joins and pairs of each user in training, those of all their rows together."""
    person = evidence.pair_person[train]
    num_people = int(evidence.person.max()) + 1
    label = evidence.pairs.label[train]
    joins = np.bincount(person, weights=label, minlength=num_people)
    count = np.bincount(person, minlength=num_people)
    return joins[evidence.person], count[evidence.person]
