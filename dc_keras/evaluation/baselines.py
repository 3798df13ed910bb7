"""Simple baselines: a learned model that loses to one of them is told so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge

from dc_keras.corpus.pairs import Pairs
from dc_keras.corpus.study import Grid
from dc_keras.evaluation.splits import Fold

# How many training pairs a prior is worth when a rate is shrunk towards it.
_PRIOR_PAIRS = 4.0
_RIDGE_ALPHA = 1.0


@dataclass(frozen=True)
class SimpleData:
    """What a simple baseline may look at.

    Attributes:
        pairs: the observed pairs, labels included: a baseline reads only those of
            `Fold.train`.
        documents: one text a user, from the history alone.
        num_challenges: number of challenges.
    """

    pairs: Pairs
    documents: tuple[str, ...]
    num_challenges: int


def history_documents(grid: Grid, videos: pl.DataFrame) -> tuple[str, ...]:
    """Joins the words, tags and sounds of each user's history into one text."""
    columns = videos.select("video_id", "caption", "hashtags", "music_id").iter_rows()
    words = {
        video_id: " ".join([caption, *tags, f"sound_{sound}" if sound else ""])
        for video_id, caption, tags, sound in columns
    }
    return tuple(" ".join(words[v] for v in history) for history in grid.histories)


def always_yes(data: SimpleData, fold: Fold) -> np.ndarray:
    """1 for every pair."""
    return np.ones(len(data.pairs))


def popularity(data: SimpleData, fold: Fold) -> np.ndarray:
    """The share of training pairs of the challenge that joined, shrunk to the mean."""
    label, challenge = data.pairs.label, data.pairs.challenge
    rate = _shrunken_rates(
        label[fold.train],
        challenge[fold.train],
        np.full(data.num_challenges, label[fold.train].mean()),
    )
    return np.asarray(rate[challenge])


def propensity(data: SimpleData, fold: Fold) -> np.ndarray:
    """How readily the user joins anything.

    A ridge regression of training users' rates on the TF-IDF of their histories, then
    shrunk with the user's own training pairs, where there are any.
    """
    user, label = data.pairs.user[fold.train], data.pairs.label[fold.train]
    mean = label.mean()
    known = np.unique(user)
    prior = np.full(len(data.documents), mean)
    rates = _shrunken_rates(label, user, prior)
    words = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    if any(data.documents[u].strip() for u in known):
        seen = words.fit_transform([data.documents[u] for u in known])
        ridge = Ridge(alpha=_RIDGE_ALPHA).fit(seen, rates[known])
        prior = np.clip(ridge.predict(words.transform(data.documents)), 1e-3, 1.0)
    return np.asarray(_shrunken_rates(label, user, prior)[data.pairs.user])


def propensity_popularity(data: SimpleData, fold: Fold) -> np.ndarray:
    """Propensity × popularity over the overall rate, cut to 1."""
    mean = data.pairs.label[fold.train].mean()
    product = propensity(data, fold) * popularity(data, fold) / mean
    return np.asarray(np.clip(product, 0.0, 1.0))


SIMPLE_BASELINES: dict[str, Callable[[SimpleData, Fold], np.ndarray]] = {
    "always yes": always_yes,
    "popularity": popularity,
    "propensity × popularity": propensity_popularity,
}


def _shrunken_rates(
    label: np.ndarray, group: np.ndarray, prior: np.ndarray
) -> np.ndarray:
    """(joins + k·prior) / (pairs + k) for every group, k = `_PRIOR_PAIRS`."""
    joins = np.bincount(group, weights=label, minlength=len(prior))
    count = np.bincount(group, minlength=len(prior))
    return np.asarray((joins + _PRIOR_PAIRS * prior) / (count + _PRIOR_PAIRS))
