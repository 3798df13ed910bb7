"""Rates at which challenges are joined and users join."""

from __future__ import annotations

import numpy as np

from dc_keras.context.fold_data import Evidence

# Weight, in pairs, of the mean rate in the rate of a challenge.
POPULARITY_PRIOR_PAIRS = 4.0


def mean_rate(evidence: Evidence, train: np.ndarray) -> float:
    """Returns the share of training pairs that joined."""
    return float(evidence.pairs.label[train].mean())


def popularity(evidence: Evidence, train: np.ndarray) -> np.ndarray:
    """Returns the rate at which each challenge is joined, shrunk to the mean rate.

    The rate is (joins + pool joins + k·mean) / (pairs + pool users + k) over training
    pairs and users of the pool, with k = `POPULARITY_PRIOR_PAIRS`.

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
    """Returns the numbers of joins and of pairs of each user in training.

    Rows of the same person at several cutoffs count together.

    Returns:
        Two arrays (num_users,).
    """
    person = evidence.pair_person[train]
    num_people = int(evidence.person.max()) + 1
    label = evidence.pairs.label[train]
    joins = np.bincount(person, weights=label, minlength=num_people)
    count = np.bincount(person, minlength=num_people)
    return joins[evidence.person], count[evidence.person]
