"""Simple baselines: a learned model that loses to one of them is told so.

Each is a column of the fold's context features, or made from a few of them, or a small
model of its own. On training pairs the features are out of fold, so that the stack
learns how far to trust each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dc_keras.context import caption_baselines as neighbours
from dc_keras.context.fold_data import Evidence
from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.pair_features import NAMES
from dc_keras.context.rates import popularity as popularity_of
from dc_keras.context.tfidf_baselines import TextSpace
from dc_keras.context.tfidf_baselines import cosine as text_cosine
from dc_keras.context.tfidf_baselines import one_vs_rest as text_one_vs_rest
from dc_keras.context.trees import fit_trees, with_unknown
from dc_keras.study.pairs import Pairs
from dc_keras.study.splits import Fold

STACK = "logistic stack"
# How far the stack trusts its data, C of scikit-learn: without a prior, features of
# challenges alone fit the noise of a few dozen challenges.
STACK_C = 0.01
# A post outside the days of the challenge does not make joining impossible.
_OUT_OF_TIME = 0.5


@dataclass(frozen=True)
class SimpleData:
    """What a simple baseline may look at.

    Attributes:
        pairs: the observed pairs; a baseline reads the labels of `fold.train` alone.
        fold: which pairs are for training.
        features: of all pairs.
        seed: of the trees.
    """

    pairs: Pairs
    fold: Fold
    features: ContextFeatures
    seed: int = 0

    def __getitem__(self, name: str) -> np.ndarray:
        """Returns a context feature, float64 (num_pairs,), 0 where unknown."""
        column = self.features.values[:, NAMES.index(name)]
        return np.nan_to_num(column.astype(np.float64))

    @property
    def evidence(self) -> Evidence:
        """Users and challenges of the fold."""
        return self.features.data.evidence

    @cached_property
    def text(self) -> TextSpace:
        """TF-IDF vectors of the fold."""
        return TextSpace.of(self.evidence, self.fold.train)

    def of_pairs(self, table: np.ndarray) -> np.ndarray:
        """Returns what a table (num_users, num_challenges) has of each pair."""
        return np.asarray(table[self.pairs.user, self.pairs.challenge])

    def by_step(self, fit: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Scores each pair that is not for training by a model that has not seen it.

        Args:
            fit: positions of pairs to fit on → a table (num_users, num_challenges).
        """
        scores = np.zeros(len(self.pairs))
        for step in self.features.steps:
            if not step.is_inner:
                scores[step.scored] = self.of_pairs(fit(step.fitted))[step.scored]
        return scores

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
    """How often the challenge is joined (`context.rates.popularity`)."""
    return _rate(data["rates/popularity"])


def propensity(data: SimpleData) -> np.ndarray:
    """How readily the user joins anything."""
    return _rate(data["rates/propensity"])


def propensity_popularity(data: SimpleData) -> np.ndarray:
    """Propensity × popularity over the overall rate, cut to 1."""
    return _cut(propensity(data) * popularity(data) / data.mean)


def in_time(data: SimpleData) -> np.ndarray:
    """Propensity × popularity × (.5 + share of the user's posts in its days), cut."""
    near = _OUT_OF_TIME + data["time/posts_in_window"]
    return _cut(propensity_popularity(data) * near)


def recent_popularity(data: SimpleData) -> np.ndarray:
    """Posts about the challenge in the 14 days before its cutoff, over the most."""
    recent = np.expm1(data["rates/recent_supporters"])
    return np.asarray(recent / max(recent.max(), 1.0))


def propensity_recent_popularity(data: SimpleData) -> np.ndarray:
    """Propensity × recent popularity."""
    return np.asarray(propensity(data) * recent_popularity(data))


def earlier_joins_recent_popularity(data: SimpleData) -> np.ndarray:
    """Challenges joined before the cutoff, a post, × recent popularity."""
    a_post = np.exp(data["past/joined_per_post"])
    return _cut(a_post * recent_popularity(data))


def earlier_joins_a_day_recent_popularity(data: SimpleData) -> np.ndarray:
    """The same a day: who posts more, joins more."""
    a_day = np.exp(data["past/posts_per_day"])
    return _cut(a_day * earlier_joins_recent_popularity(data))


def tfidf_cosine(data: SimpleData) -> np.ndarray:
    """Cosine of the TF-IDF of history and support."""
    return _cut(data.of_pairs(text_cosine(data.text)))


def caption_cosine(data: SimpleData) -> np.ndarray:
    """Cosine of the mean caption embeddings of history and support, cut to [0, 1]."""
    return _cut(data.of_pairs(neighbours.caption_cosine(data.evidence)))


def one_vs_rest(data: SimpleData) -> np.ndarray:
    """Popularity and a ridge regression a challenge on TF-IDF, cut to [0, 1]."""

    def fit(rows: np.ndarray) -> np.ndarray:
        rates = popularity_of(data.evidence, rows)
        towards = text_one_vs_rest(data.evidence, rows, data.text, rates)
        return np.asarray(rates + towards)

    return _cut(data.by_step(fit))


def caption_neighbours(data: SimpleData) -> np.ndarray:
    """Share of the users with the nearest captions who joined."""
    return _cut(
        data.by_step(lambda rows: neighbours.caption_neighbours(data.evidence, rows))
    )


def ease(data: SimpleData) -> np.ndarray:
    """What else the user joined, by EASE, cut to [0, 1]; nothing for newcomers."""
    return _cut(data["neighbours/ease"])


def boosted_trees(data: SimpleData) -> np.ndarray:
    """Gradient-boosted trees on every context feature (`context.trees`)."""
    scores = np.zeros(len(data.pairs))
    values = data.features.values
    for step in data.features.steps:
        if not step.is_inner:
            seen, label = values[step.fitted], data.pairs.label[step.fitted]
            trees = fit_trees(seen, label, np.ones(len(label)), data.seed)
            scores[step.scored] = trees(with_unknown(values[step.scored]))
    return _rate(scores)


def logistic_stack(data: SimpleData) -> np.ndarray:
    """A logistic regression on every context feature, on the training pairs."""
    stack = make_pipeline(
        SimpleImputer(keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=STACK_C, max_iter=1000),
    )
    train, values = data.fold.train, data.features.values
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

    Those of earlier joins are left out where the features have no past: of a user who
    is asked about without a cutoff, joins are what nobody may know.
    """
    has_past = bool(data["past/joined"].any())
    return {
        name: score(data)
        for name, score in SIMPLE_BASELINES.items()
        if has_past or score not in _OF_THE_PAST
    }


def _rate(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logit)))


def _cut(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(scores, 0.0, 1.0))
