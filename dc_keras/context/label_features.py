"""Rates of joining, and the parts of context features that are learned from labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge

from dc_keras.context.fold_data import Evidence
from dc_keras.context.pair_features import log_odds

TASTE_ALPHA = 3.0
PROPENSITY_ALPHA = 10.0
EASE_LAMBDA = 20.0
# Weight, in pairs, of the mean rate in the rate of a challenge.
POPULARITY_PRIOR_PAIRS = 4.0


@dataclass(frozen=True)
class LabelWeights:
    """Weights and statistics learned from the labels of pairs.

    Attributes:
        popularity: float64 (num_challenges,), log-odds of joining each challenge.
        taste: float64 (num_challenges, taste_width), weights of the taste of users.
        ease: float64 (num_challenges, num_topics), EASE weights of other joins. Topics
            are the distinct challenges, in the order of the columns.
        propensity: float64 (taste_width,), weights from taste to the rate of joining.
        propensity_bias: intercept of the rate of joining.
        joined: bool (num_users, 1 + num_topics), known joins, see `pair_features`.
        pairs_per_user: mean number of pairs of the users with any pair.
    """

    popularity: np.ndarray
    taste: np.ndarray
    ease: np.ndarray
    propensity: np.ndarray
    propensity_bias: float
    joined: np.ndarray
    pairs_per_user: float


def learn_labels(
    evidence: Evidence,
    rows: np.ndarray,
    user_taste: np.ndarray,
    pool_taste: np.ndarray,
) -> LabelWeights:
    """Learns popularity, taste, EASE and propensity from the labels of pairs.

    Args:
        evidence: the pairs and the users of the pool.
        rows: positions of the pairs whose labels are used.
        user_taste: float (num_users, taste_width), see `pair_features.scale_taste`.
        pool_taste: float (num_pool, taste_width), the same for the users of the pool.
    """
    rate_of = popularity(evidence, rows)
    joins, count = joins_and_pairs(evidence, rows)
    known = np.unique(evidence.pairs.user[rows])
    prior = POPULARITY_PRIOR_PAIRS
    rate = (joins + prior * mean_rate(evidence, rows)) / (count + prior)
    propensity = Ridge(alpha=PROPENSITY_ALPHA).fit(user_taste[known], rate[known])
    joined, ease = _ease(evidence, rows)
    positive = count[count > 0]
    return LabelWeights(
        popularity=np.asarray(log_odds(rate_of)),
        taste=_taste_weights(evidence, rows, user_taste, pool_taste, rate_of),
        ease=ease,
        propensity=propensity.coef_,
        propensity_bias=float(propensity.intercept_),
        joined=joined,
        pairs_per_user=float(positive.mean()) if len(positive) else 0.0,
    )


def _taste_weights(
    evidence: Evidence,
    rows: np.ndarray,
    user_taste: np.ndarray,
    pool_taste: np.ndarray,
    rate_of: np.ndarray,
) -> np.ndarray:
    """Returns the weights of a ridge regression of joins, minus their rate, on taste.

    It is fitted on training users and users of the pool; for a challenge without
    training pairs, on users of the pool only.
    """
    pairs, pool = evidence.pairs, evidence.pool_joined
    pool = pool - pool.sum(axis=0) / max(len(pool), 1)
    topic = evidence.pair_topic[rows]
    residual = np.zeros((len(evidence.person), int(evidence.topic.max()) + 1))
    residual[pairs.user[rows], topic] = (
        pairs.label[rows] - rate_of[pairs.challenge[rows]]
    )
    known = np.unique(pairs.user[rows])
    weights = _ridge(
        np.concatenate([pool_taste, user_taste[known]]),
        np.concatenate([pool, residual[known][:, evidence.topic]]),
    )
    is_new = ~np.isin(evidence.topic, topic)
    if is_new.any():
        weights[is_new] = _ridge(pool_taste, pool)[is_new]
    return weights


def _ridge(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns ridge regression weights (num_targets, dim); 0 without any rows."""
    if len(inputs) == 0:
        return np.zeros((targets.shape[1], inputs.shape[1]))
    ridge = Ridge(alpha=TASTE_ALPHA, fit_intercept=False).fit(inputs, targets)
    # For one target, scikit-learn returns a vector.
    return np.array(ridge.coef_, np.float64).reshape(targets.shape[1], -1)


def _ease(evidence: Evidence, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the known joins of users, and EASE weights of joins for each challenge.

    EASE scores are Y·B with B = I − P·diag(1/P) and P = (YᵀY + λI)⁻¹, where Y has the
    joins of training pairs and of users of the pool, and the diagonal of B is zero.

    Reference:
        Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    """
    num_people, num_topics = (
        int(key.max()) + 1 for key in (evidence.person, evidence.topic)
    )
    joins = np.zeros((num_people, num_topics))
    person, topic = evidence.pair_person[rows], evidence.pair_topic[rows]
    joins[person, topic] = evidence.pairs.label[rows]
    pool = np.zeros((len(evidence.pool_joined), num_topics))
    pool[:, evidence.topic] = evidence.pool_joined
    gram = joins.T @ joins + pool.T @ pool
    inverse = np.linalg.inv(gram + EASE_LAMBDA * np.eye(num_topics))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    are_known = np.zeros((num_people, 1), bool)
    are_known[person] = True
    # Topics are numbered in order of name; a bundle uses the order of the study.
    order = list(dict.fromkeys(evidence.topic.tolist()))
    joined = np.concatenate([are_known, joins[:, order] > 0], axis=1)
    return joined[evidence.person], weights[np.ix_(order, evidence.topic)].T


def mean_rate(evidence: Evidence, train: np.ndarray) -> float:
    """Returns the share of training pairs that joined."""
    return float(evidence.pairs.label[train].mean())


def popularity(evidence: Evidence, train: np.ndarray) -> np.ndarray:
    """Returns the rate at which each challenge is joined, float64 (num_challenges,).

    It is shrunk to the mean rate: (joins + pool joins + k·mean) / (pairs + pool users +
    k) over training pairs and users of the pool, with k = `POPULARITY_PRIOR_PAIRS`.
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
    """Returns the numbers of joins and of pairs of each user in training, (num_users,).

    Rows of the same person at several cutoffs count together.
    """
    person = evidence.pair_person[train]
    num_people = int(evidence.person.max()) + 1
    label = evidence.pairs.label[train]
    joins = np.bincount(person, weights=label, minlength=num_people)
    count = np.bincount(person, minlength=num_people)
    return joins[evidence.person], count[evidence.person]
