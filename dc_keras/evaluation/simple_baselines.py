"""Simple baselines, with which the learned models are compared.

A baseline is a context feature of the fold, a combination of a few of them, or a small
model. Features of training pairs are out of fold, so that the logistic stack learns
realistic weights.
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

from dc_keras.context import tfidf_baselines
from dc_keras.context.context_fitting import ContextFeatures
from dc_keras.context.fold_data import Evidence
from dc_keras.context.label_features import popularity as popularity_of
from dc_keras.context.pair_features import NAMES
from dc_keras.context.tfidf_baselines import TextSpace
from dc_keras.context.tfidf_baselines import cosine as text_cosine
from dc_keras.context.tfidf_baselines import one_vs_rest as text_one_vs_rest
from dc_keras.context.tree_bins import RankedFeatures
from dc_keras.context.trees import fit_trees
from dc_keras.study.pairs import Pairs
from dc_keras.study.splits import Fold

STACK = "logistic stack"
# Inverse regularization strength of the stack. With weaker regularization, features of
# challenges fit the noise of a few dozen challenges.
STACK_C = 0.01
# Factor for users without posts in the days of the challenge, who may still join.
_OUT_OF_TIME = 0.5


@dataclass(frozen=True)
class SimpleData:
    """Input of the simple baselines.

    Attributes:
        pairs: the observed pairs; baselines only use the labels of `fold.train`.
        fold: the fold with the training pairs.
        features: context features of all pairs.
        seed: seed of the boosted trees.
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
        """The evidence of the fold."""
        return self.features.data.evidence

    @cached_property
    def text(self) -> TextSpace:
        """TF-IDF vectors of the fold."""
        return TextSpace.of(self.evidence, self.fold.train)

    def of_pairs(self, table: np.ndarray) -> np.ndarray:
        """Returns the entry of each pair in a table (num_users, num_challenges)."""
        return np.asarray(table[self.pairs.user, self.pairs.challenge])

    def by_step(self, fit: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Returns scores of all pairs except training pairs, by models fitted without.

        Args:
            fit: fits a model on the pairs at the given positions and returns its scores
                (num_users, num_challenges).
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
    """Returns 1 for every pair."""
    return np.ones(len(data.pairs))


def prevalence(data: SimpleData) -> np.ndarray:
    """Returns the share of training pairs that joined, for every pair."""
    return np.full(len(data.pairs), data.mean)


def popularity(data: SimpleData) -> np.ndarray:
    """Returns the rate at which users join the challenge (`label_features`)."""
    return _rate(data["rates/popularity"])


def propensity(data: SimpleData) -> np.ndarray:
    """Returns the rate at which the user joins challenges."""
    return _rate(data["rates/propensity"])


def propensity_popularity(data: SimpleData) -> np.ndarray:
    """Returns propensity × popularity over the overall rate, clipped to 1."""
    return _clip(propensity(data) * popularity(data) / data.mean)


def in_time(data: SimpleData) -> np.ndarray:
    """Returns propensity × popularity × (.5 + share of posts in its days), clipped."""
    near = _OUT_OF_TIME + data["time/posts_in_window"]
    return _clip(propensity_popularity(data) * near)


def recent_popularity(data: SimpleData) -> np.ndarray:
    """Returns posts of the challenge in the last 14 days, over the maximum."""
    recent = np.expm1(data["rates/recent_supporters"])
    return np.asarray(recent / max(recent.max(), 1.0))


def propensity_recent_popularity(data: SimpleData) -> np.ndarray:
    """Returns propensity × recent popularity."""
    return np.asarray(propensity(data) * recent_popularity(data))


def earlier_joins_recent_popularity(data: SimpleData) -> np.ndarray:
    """Returns challenges joined before the cutoff per post × recent popularity."""
    per_post = np.exp(data["past/joined_per_post"])
    return _clip(per_post * recent_popularity(data))


def earlier_joins_a_day_recent_popularity(data: SimpleData) -> np.ndarray:
    """Returns challenges joined before the cutoff per day × recent popularity."""
    per_day = np.exp(data["past/posts_per_day"])
    return _clip(per_day * earlier_joins_recent_popularity(data))


def tfidf_cosine(data: SimpleData) -> np.ndarray:
    """Returns the cosine of the TF-IDF vectors of history and support."""
    return _clip(data.of_pairs(text_cosine(data.text)))


def caption_cosine(data: SimpleData) -> np.ndarray:
    """Returns the cosine of mean caption embeddings, clipped to [0, 1]."""
    return _clip(
        data.of_pairs(
            tfidf_baselines.caption_cosine(
                data.evidence, data.features.data.caption_vectors
            )
        )
    )


def one_vs_rest(data: SimpleData) -> np.ndarray:
    """Returns popularity plus a ridge regression per challenge on TF-IDF, clipped."""

    def fit(rows: np.ndarray) -> np.ndarray:
        rates = popularity_of(data.evidence, rows)
        offsets = text_one_vs_rest(data.evidence, rows, data.text, rates)
        return np.asarray(rates + offsets)

    return _clip(data.by_step(fit))


def caption_neighbours(data: SimpleData) -> np.ndarray:
    """Returns the share of the users with the most similar captions who joined."""
    return _clip(
        data.by_step(
            lambda rows: tfidf_baselines.caption_neighbours(
                data.evidence, data.features.data.caption_vectors, rows
            )
        )
    )


def ease(data: SimpleData) -> np.ndarray:
    """Returns the EASE score from the user's other joins; 0 for new users."""
    return _clip(data["neighbours/ease"])


def boosted_trees(data: SimpleData) -> np.ndarray:
    """Returns scores of gradient-boosted trees on all context features."""
    scores = np.zeros(len(data.pairs))
    values = data.features.values
    ranked = RankedFeatures(values)
    for step in data.features.steps:
        if not step.is_inner:
            label = data.pairs.label[step.fitted]
            weight = np.ones(len(label))
            trees = fit_trees(ranked, step.fitted, label, weight, data.seed)
            scores[step.scored] = trees.score(values[step.scored])
    return _rate(scores)


def logistic_stack(data: SimpleData) -> np.ndarray:
    """Returns scores of a logistic regression on all context features."""
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


_NEED_PAST = (earlier_joins_recent_popularity, earlier_joins_a_day_recent_popularity)


def simple_scores(data: SimpleData) -> dict[str, np.ndarray]:
    """Returns the scores of the simple baselines, each float64 (num_pairs,) in [0, 1].

    Baselines on earlier joins are left out for data without a cutoff, where earlier
    joins are unknown.
    """
    has_past = bool(data["past/joined"].any())
    return {
        name: score(data)
        for name, score in SIMPLE_BASELINES.items()
        if has_past or score not in _NEED_PAST
    }


def _rate(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logit)))


def _clip(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(scores, 0.0, 1.0))
