"""What context features learn from labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import Ridge

from dc_keras.context import rates
from dc_keras.context.fold_data import Evidence
from dc_keras.context.pair_features import log_odds

TASTE_ALPHA = 3.0
PROPENSITY_ALPHA = 10.0
EASE_LAMBDA = 20.0


@dataclass(frozen=True)
class LabelWeights:
    """What is learned from the labels of some pairs.

    Attributes:
        popularity: log-odds of joining, float64 (num_challenges,).
        taste: float64 (num_challenges, taste_width).
        ease: float64 (num_challenges, num_topics), with topics, the different
            challenges, in the order of the challenges.
        propensity: float64 (taste_width,), and its `propensity_bias`.
        propensity_bias: of the rate of joining.
        joined: float64 (num_users, 1 + num_topics), see `pairs`.
        pairs_per_user: mean number of pairs of users who have some.
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
    """Learns popularity, taste, other joins and propensity from the labels of pairs.

    Args:
        evidence: the pairs and the users who describe challenges.
        rows: positions of the pairs whose labels are read.
        user_taste: float (num_users, taste_width), of `PairFeatures.taste`.
        pool_taste: the same of the users who describe challenges.
    """
    popularity = rates.popularity(evidence, rows)
    joins, count = rates.joins_and_pairs(evidence, rows)
    mean = rates.mean_rate(evidence, rows)
    known = np.unique(evidence.pairs.user[rows])
    prior = rates.POPULARITY_PRIOR_PAIRS
    rate = (joins + prior * mean) / (count + prior)
    readiness = Ridge(alpha=PROPENSITY_ALPHA).fit(user_taste[known], rate[known])
    joined, ease = _ease(evidence, rows)
    seen = count[count > 0]
    return LabelWeights(
        popularity=np.asarray(log_odds(popularity)),
        taste=_taste_weights(evidence, rows, user_taste, pool_taste, popularity),
        ease=ease,
        propensity=readiness.coef_,
        propensity_bias=float(readiness.intercept_),
        joined=joined,
        pairs_per_user=float(seen.mean()) if len(seen) else 0.0,
    )


def _taste_weights(
    evidence: Evidence,
    rows: np.ndarray,
    user_taste: np.ndarray,
    pool_taste: np.ndarray,
    popularity: np.ndarray,
) -> np.ndarray:
    """Weights of a ridge regression of who joins, minus the rate, on taste.

    Fitted on training users and on the users who describe challenges together; for a
    challenge without training pairs on the latter alone.
    """
    pairs, described = evidence.pairs, evidence.pool_joined
    described = described - described.sum(axis=0) / max(len(described), 1)
    topic = evidence.pair_topic[rows]
    residual = np.zeros((len(evidence.person), int(evidence.topic.max()) + 1))
    residual[pairs.user[rows], topic] = (
        pairs.label[rows] - popularity[pairs.challenge[rows]]
    )
    known = np.unique(pairs.user[rows])
    weights = _ridge(
        np.concatenate([pool_taste, user_taste[known]]),
        np.concatenate([described, residual[known][:, evidence.topic]]),
    )
    is_new = ~np.isin(evidence.topic, topic)
    if is_new.any():
        weights[is_new] = _ridge(pool_taste, described)[is_new]
    return weights


def _ridge(known: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Weights (num_targets, dim) of a ridge regression; 0 without any row."""
    if len(known) == 0:
        return np.zeros((targets.shape[1], known.shape[1]))
    ridge = Ridge(alpha=TASTE_ALPHA, fit_intercept=False).fit(known, targets)
    # scikit-learn gives one dimension for one target.
    return np.array(ridge.coef_, np.float64).reshape(targets.shape[1], -1)


def _ease(evidence: Evidence, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Known joins of users, and the weights of other joins for each challenge.

    EASE: Y·B with B = I − P·diag(1/P), P = (YᵀY + λI)⁻¹, zero on its diagonal, where Y
    holds the joins of training pairs and of the users who describe challenges (Steck,
    "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019).
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
    are_known = np.zeros((num_people, 1))
    are_known[person] = 1.0
    # Topics are numbered by name; a bundle counts challenges as its study lists them.
    listed = list(dict.fromkeys(evidence.topic.tolist()))
    joined = np.concatenate([are_known, joins[:, listed]], axis=1)[evidence.person]
    return joined, weights[np.ix_(listed, evidence.topic)].T
