"""Simple baselines: a learned model that loses to one of them is told so.

Each is a column of the fold's signals, or made from a few of them. On training pairs
the signals are out of fold, so that the stack learns how far to trust each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dc_keras.corpus.pairs import Pairs
from dc_keras.evaluation.splits import Fold
from dc_keras.signals.table import GROUPS, REFERENCE, STACK_C, TREES, SignalTable

STACK = "logistic stack"
# A post outside the days of the challenge does not make joining impossible.
_OUT_OF_TIME = 0.5


@dataclass(frozen=True)
class SimpleData:
    """What a simple baseline may look at.

    Attributes:
        pairs: the observed pairs; a baseline reads the labels of `fold.train` alone.
        fold: which pairs are for training.
        signals: of all pairs.
    """

    pairs: Pairs
    fold: Fold
    signals: SignalTable

    @property
    def mean(self) -> float:
        """Share of training pairs that joined."""
        return float(self.pairs.label[self.fold.train].mean())


def always_yes(data: SimpleData) -> np.ndarray:
    """1 for every pair."""
    return np.ones(len(data.pairs))


def prevalence(data: SimpleData) -> np.ndarray:
    """The share of training pairs that joined, for every pair."""
    return np.full(len(data.pairs), data.mean)


def popularity(data: SimpleData) -> np.ndarray:
    """How often the challenge is joined (`signals.rates.popularity`)."""
    return _rate(data.signals["rates/popularity"])


def propensity(data: SimpleData) -> np.ndarray:
    """How readily the user joins anything (`signals.rates.propensity`)."""
    return _rate(data.signals["rates/propensity"])


def propensity_popularity(data: SimpleData) -> np.ndarray:
    """Propensity × popularity over the overall rate, cut to 1."""
    return _cut(propensity(data) * popularity(data) / data.mean)


def in_time(data: SimpleData) -> np.ndarray:
    """Propensity × popularity × (.5 + share of the user's posts in its days), cut."""
    near = _OUT_OF_TIME + data.signals["time/posts_in_window"]
    return _cut(propensity_popularity(data) * near)


def recent_popularity(data: SimpleData) -> np.ndarray:
    """Posts about the challenge in the 14 days before its cutoff, over the most."""
    recent = np.expm1(data.signals["rates/recent_supporters"])
    return np.asarray(recent / max(recent.max(), 1.0))


def propensity_recent_popularity(data: SimpleData) -> np.ndarray:
    """Propensity × recent popularity."""
    return np.asarray(propensity(data) * recent_popularity(data))


def earlier_joins_recent_popularity(data: SimpleData) -> np.ndarray:
    """Challenges joined before the cutoff, a post, × recent popularity."""
    a_post = np.exp(data.signals["past/joined_per_post"])
    return _cut(a_post * recent_popularity(data))


def earlier_joins_a_day_recent_popularity(data: SimpleData) -> np.ndarray:
    """The same a day: who posts more, joins more."""
    a_day = np.exp(data.signals["past/posts_per_day"])
    return _cut(a_day * earlier_joins_recent_popularity(data))


def tfidf_cosine(data: SimpleData) -> np.ndarray:
    """Cosine of the TF-IDF of history and support."""
    return _cut(data.signals["text/cosine"])


def caption_cosine(data: SimpleData) -> np.ndarray:
    """Cosine of the mean caption embeddings of history and support, cut to [0, 1]."""
    return _cut(data.signals["text/caption_cosine"])


def one_vs_rest(data: SimpleData) -> np.ndarray:
    """Popularity and a ridge regression a challenge on TF-IDF, cut to [0, 1]."""
    return _cut(popularity(data) + data.signals["text/one_vs_rest"])


def caption_neighbours(data: SimpleData) -> np.ndarray:
    """Share of the users with the nearest captions who joined."""
    return _cut(data.signals[f"{REFERENCE}/caption_neighbours"])


def ease(data: SimpleData) -> np.ndarray:
    """What else the user joined, by EASE, cut to [0, 1]; nothing for newcomers."""
    return _cut(data.signals["neighbours/ease"])


def boosted_trees(data: SimpleData) -> np.ndarray:
    """Gradient-boosted trees on every other signal (`signals.trees`)."""
    return _rate(data.signals[TREES])


def logistic_stack(data: SimpleData) -> np.ndarray:
    """A logistic regression on every signal but the trees, on the training pairs."""
    stack = make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=STACK_C, max_iter=1000),
    )
    train = data.fold.train
    simple = [group for group in GROUPS if group != "trees"]
    values = data.signals.of_groups(simple).values
    stack.fit(values[train], data.pairs.label[train])
    return np.asarray(stack.predict_proba(values)[:, 1])


SIMPLE_BASELINES: dict[str, Callable[[SimpleData], np.ndarray]] = {
    "always yes": always_yes,
    "prevalence": prevalence,
    "popularity": popularity,
    "propensity": propensity,
    "propensity × popularity": propensity_popularity,
    "propensity × popularity × time": in_time,
    "recent popularity": recent_popularity,
    "propensity × recent popularity": propensity_recent_popularity,
    "earlier joins × recent popularity": earlier_joins_recent_popularity,
    "earlier joins a day × recent popularity": earlier_joins_a_day_recent_popularity,
    "TF-IDF cosine": tfidf_cosine,
    "caption cosine": caption_cosine,
    "TF-IDF one-vs-rest ridge": one_vs_rest,
    "caption neighbours": caption_neighbours,
    "EASE": ease,
    STACK: logistic_stack,
    "boosted trees": boosted_trees,
}


_OF_THE_PAST = (earlier_joins_recent_popularity, earlier_joins_a_day_recent_popularity)


def simple_scores(data: SimpleData) -> dict[str, np.ndarray]:
    """Returns the scores of every simple baseline, float64 (num_pairs,) in [0, 1] each.

    Those of earlier joins are left out where the signals have no past: of a user who is
    asked about without a cutoff, joins are what nobody may know.
    """
    has_past = any(name.startswith("past/") for name in data.signals.names)
    return {
        name: score(data)
        for name, score in SIMPLE_BASELINES.items()
        if has_past or score not in _OF_THE_PAST
    }


def _rate(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logit)))


def _cut(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(scores, 0.0, 1.0))
