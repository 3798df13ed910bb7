"""How often challenges are joined, and users join."""

from __future__ import annotations

import numpy as np

from dc_keras.context.fold_data import Evidence

# How many pairs the mean rate is worth when the rate of a challenge is shrunk to it.
POPULARITY_PRIOR_PAIRS = 4.0


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


def joins_and_pairs(
    evidence: Evidence, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joins and pairs of each user in training, those of all their rows together."""
    person = evidence.pair_person[train]
    num_people = int(evidence.person.max()) + 1
    label = evidence.pairs.label[train]
    joins = np.bincount(person, weights=label, minlength=num_people)
    count = np.bincount(person, minlength=num_people)
    return joins[evidence.person], count[evidence.person]
