"""A user's taste as one vector, and how it matches a challenge.

The terms of a history are reduced to a few hundred dimensions by a truncated SVD of
their TF-IDF vectors (latent semantic analysis), and stand beside the centred caption
embedding and the habits of posting. A ridge regression on that vector has far fewer
weights than one on terms, and needs no row of another user when it is applied.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import vstack
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import Ridge

from dc_keras.signals.engagement import habits_of_sets
from dc_keras.signals.evidence import Evidence
from dc_keras.signals.text import TextSpace

# Chosen on training rows of the real benchmark: 64 to 512 are within .002.
NUM_TOPICS = 128
ALPHA = 3.0
# How much a habit counts beside words, whose vectors have length 1.
_HABIT_SCALE = 0.15
_TINY = 1e-9


@dataclass(frozen=True)
class TasteSpace:
    """Vectors of taste of all users, the pool and the challenges.

    Attributes:
        users: float64 (num_users, dim): topics, centred caption embedding, habits.
        pool: float64 (num_pool, dim), the same of users who describe challenges.
        cosines: by name, float64 (num_users, num_challenges): `text/topic_cosine`,
            `text/centred_caption_cosine` and `frames/NETWORK_cosine`, each in [−1, 1].
    """

    users: np.ndarray
    pool: np.ndarray
    cosines: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, evidence: Evidence, train: np.ndarray, text: TextSpace, seed: int = 0
    ) -> TasteSpace:
        """Learns topics, centres and scales from training users and the pool.

        Args:
            evidence: users and challenges; no label is read.
            train: positions of the training pairs.
            text: TF-IDF vectors of the same evidence.
            seed: of the truncated SVD.
        """
        known = np.unique(evidence.pairs.user[train])
        sides = {"text/topic_cosine": _topics(text, known, seed)}
        captions = (
            evidence.user_embeddings,
            evidence.challenge_embeddings,
            evidence.pool_embeddings,
        )
        if all(side is not None for side in captions):
            sides["text/centred_caption_cosine"] = _centred(captions, known)
        parts = [list(side) for side in sides.values()]
        for name, frames in evidence.frames.items():
            sides[f"frames/{name}_cosine"] = _centred(frames, known)
        user_habits, pool_habits = _scaled_habits(evidence, known)
        return cls(
            users=np.concatenate([*(part[0] for part in parts), user_habits], axis=1),
            pool=np.concatenate([*(part[2] for part in parts), pool_habits], axis=1),
            cosines={name: _cosine(side[0], side[1]) for name, side in sides.items()},
        )


def taste(
    evidence: Evidence, train: np.ndarray, space: TasteSpace, rates: np.ndarray
) -> np.ndarray:
    """Returns how far the taste of each user moves them towards each challenge.

    One ridge regression per challenge, without an intercept, fitted on training users
    and the pool together. The target is label minus `rates` for training users, and for
    the pool whether they describe the challenge, minus their share. Pairs outside of
    training have the target 0. For a challenge without training pairs, a regression on
    the pool alone is used, in training pairs as in test pairs.

    Args:
        evidence: the pairs and the pool.
        train: positions of the training pairs.
        space: vectors of taste.
        rates: of `rates.popularity`.

    Returns:
        float64 (num_users, num_challenges).
    """
    pairs, joined = evidence.pairs, evidence.pool_joined
    described = joined - joined.sum(axis=0) / max(len(joined), 1)
    residual = np.zeros((len(evidence.person), int(evidence.topic.max()) + 1))
    topic = evidence.pair_topic[train]
    residual[pairs.user[train], topic] = (
        pairs.label[train] - rates[pairs.challenge[train]]
    )
    known = np.unique(pairs.user[train])
    scores = _ridge(
        np.concatenate([space.pool, space.users[known]]),
        np.concatenate([described, residual[known][:, evidence.topic]]),
        space.users,
    )
    is_new = ~np.isin(evidence.topic, topic)
    if is_new.any():
        scores[:, is_new] = _ridge(space.pool, described, space.users)[:, is_new]
    return scores


def _ridge(known: np.ndarray, targets: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Predicts the targets of some vectors from those of others; 0 without any."""
    if len(known) == 0:
        return np.zeros((len(asked), targets.shape[1]))
    ridge = Ridge(alpha=ALPHA, fit_intercept=False).fit(known, targets)
    # scikit-learn gives one dimension for one challenge.
    return np.asarray(ridge.predict(asked)).reshape(len(asked), -1)


def _topics(
    text: TextSpace, known: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Topics of users, challenges and the pool, float64 (num, at most NUM_TOPICS)."""
    documents = vstack([text.users[known], text.pool])
    count = min(NUM_TOPICS, *(size - 1 for size in documents.shape))
    components = np.zeros((documents.shape[1], 1))
    if count >= 1 and documents.nnz > 0:
        svd = TruncatedSVD(count, random_state=seed).fit(documents)
        components = svd.components_.T
    return text.users @ components, text.challenges @ components, text.pool @ components


def _centred(
    sides: tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None],
    known: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of users, challenges and the pool, minus the users' mean, unit."""
    users, challenges, pool = (_unit(np.asarray(side, np.float64)) for side in sides)
    centre = users[known].mean(axis=0)
    users, challenges, pool = (
        _unit(np.where(side.any(axis=1, keepdims=True), side - centre, 0.0))
        for side in (users, challenges, pool)
    )
    return users, challenges, pool


def _scaled_habits(
    evidence: Evidence, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standardised habits times `_HABIT_SCALE`, 0 where unknown: users, pool."""
    count = len(evidence.histories)
    sets = (*evidence.histories, *evidence.pool_histories)
    habits = np.stack(list(habits_of_sets(evidence.facts, sets).values()), axis=1)
    seen = habits[known]
    is_known = ~np.isnan(seen)
    num_known = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, seen, 0.0).sum(axis=0) / num_known
    variance = np.where(is_known, np.square(seen - mean), 0.0).sum(axis=0) / num_known
    scale = _HABIT_SCALE / np.where(variance > 0, np.sqrt(variance), 1.0)
    scaled = np.nan_to_num((habits - mean) * scale)
    return scaled[:count], scaled[count:]


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _TINY))


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(_unit(left) @ _unit(right).T)
