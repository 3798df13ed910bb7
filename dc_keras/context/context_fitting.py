"""Fits and computes the context features of a fold, out of fold for training pairs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from dc_keras.context.cross_fit_plan import CrossFitStep
from dc_keras.context.fold_data import Evidence
from dc_keras.context.label_features import LabelWeights, learn_labels
from dc_keras.context.pair_features import (
    ACCOUNT,
    NAMES,
    PAST,
    PairFeatures,
    PairLayout,
    scale_taste,
)
from dc_keras.context.post_vectors import (
    FACTS,
    UNKNOWN,
    embed_posts,
    fit_space,
)
from dc_keras.context.set_vectors import (
    SETS,
    SetLayout,
    gather_rows,
    is_known,
    join_posts,
    join_rows,
)

# Largest number of pairs that trees and combination are fitted on: a random sample.
MOST_PAIRS = 2**17
# Batch size in pairs.
_CHUNK = 8192
# Probability that a training user loses all facts (all but captions and frames), and
# probability that another one loses each kind of fact.
_ALL_DROPPED = 0.5
_ONE_DROPPED = 0.5
# Positions of the features that are learned from labels.
_OF_LABELS = np.array(
    [
        NAMES.index(name)
        for name in (
            "rates/popularity",
            "rates/propensity",
            "text/taste",
            "neighbours/ease",
        )
    ]
)
_FACT_KINDS = {
    "times": ("day",),
    "durations": ("duration",),
    "counts": ("views", "likes", "comments", "shares"),
    "sounds": ("is_original",),
}


@dataclass(frozen=True)
class ContextData:
    """The data for fitting context features.

    Attributes:
        evidence: users, challenges and pairs.
        caption_vectors: float32 (num_posts, dim), caption embedding of each post of the
            facts, zero if it has none; or None.
        frame_vectors: float32 (num_posts, dim), mean frame embedding by the encoder of
            the user side, zero if there is none; or None.
        history_max: maximum number of posts per user.
        support_max: maximum number of posts per challenge.
        focal_terms: hashtags and sounds of the challenges, as terms. Their weight is 0.
    """

    evidence: Evidence
    caption_vectors: np.ndarray | None
    frame_vectors: np.ndarray | None
    history_max: int
    support_max: int
    focal_terms: tuple[str, ...] = ()


UserVectors = Callable[[LabelWeights], np.ndarray]


class ContextFeatures:
    """The context features of all pairs of a fold.

    Features of more than `MOST_PAIRS` pairs are computed when they are used.

    Args:
        data: the data of the fold.
        train: positions of the training pairs.
        steps: the plan of `cross_fit_plan.plan_steps`. For pairs that no step scores,
            features learned from labels are unknown.
        seed: seed of the topics and of the fact dropout.

    Attributes:
        space: the fitted embedding of posts.
        layout: layout of the vectors of users and challenges.
        sampled: ascending positions of the training and validation pairs that models
            are fitted on, at most `MOST_PAIRS`.
        train: positions of the training pairs among them.
        dropped: float32 (len(self.train), len(NAMES)), features of these training pairs
            with fact dropout on the user side.
        step_of: int16 (num_pairs,), number of the step that scores a pair, or -1.
    """

    def __init__(
        self,
        data: ContextData,
        train: np.ndarray,
        steps: Sequence[CrossFitStep],
        seed: int,
    ) -> None:
        self.steps = steps
        evidence = data.evidence
        self.sampled = _sample(steps[0].fitted, seed)
        self.train = train[np.isin(train, self.sampled, assume_unique=True)]
        self.step_of = np.full(len(evidence.pairs), -1, np.int16)
        for number, step in enumerate(steps):
            self.step_of[step.scored] = number
        self._known = np.unique(evidence.pairs.user[train])
        sets = [evidence.histories[user] for user in self._known]
        self.space = fit_space(
            evidence.facts.posts,
            data.caption_vectors,
            data.frame_vectors,
            [*sets, *evidence.pool_histories],
            data.focal_terms,
            seed,
        )
        num_topics = int(evidence.topic.max()) + 1
        self.layout = PairLayout(
            SetLayout(self.space.widths, data.history_max),
            SetLayout(self.space.widths, data.support_max),
            num_topics,
        )
        self._rng = np.random.default_rng(seed)
        self._embed(data)
        pool = join_rows(self.layout.user, self._vectors, evidence.pool_histories)
        self._habits = self._scale_habits()
        self._labels = [self._learn_labels(step.fitted, pool) for step in steps]
        self.dropped = self._score(self.train, self._draw_dropout())

    @cached_property
    def values(self) -> np.ndarray:
        """Features of all pairs, float32 (num_pairs, len(NAMES)); see `values_of`."""
        return self._score(np.arange(len(self.step_of)), self._user_vectors)

    def values_of(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features of pairs, NaN where unknown; out of fold for training.

        Args:
            rows: positions of the pairs.

        Returns:
            float32 (len(rows), len(NAMES)).
        """
        if len(self.step_of) <= MOST_PAIRS:
            return np.asarray(self.values[rows])
        return self._score(rows, self._user_vectors)

    @cached_property
    def pair_features(self) -> PairFeatures:
        """The fitted computation of the features of new pairs."""
        return self._features(self._labels[0])

    @cached_property
    def users(self) -> np.ndarray:
        """Vectors of the users of the panel, float32 (num_users, user_width)."""
        return self._user_vectors(self._labels[0])

    @cached_property
    def challenges(self) -> np.ndarray:
        """Vectors of the challenges, float32 (num_challenges, challenge_width)."""
        return self._challenge_vectors(self._labels[0])

    def describe(self, data: ContextData) -> tuple[np.ndarray, np.ndarray]:
        """Returns `users` and `challenges` computed from other data."""
        other = copy.copy(self)
        for name in ("users", "challenges"):
            other.__dict__.pop(name, None)
        other._embed(data)
        return other.users, other.challenges

    @property
    def support_posts(self) -> np.ndarray:
        """Vectors of the support posts, (num_challenges, support_max, width)."""
        sets, size = self.data.evidence.support, self.layout.challenge.num_days
        return gather_rows(self._vectors, sets, size)[0]

    def users_without_facts(self) -> np.ndarray:
        """Returns `users` without any facts besides captions and frames."""
        everything = np.ones((len(self._users), len(_FACT_KINDS) + 2), bool)
        return self._without(everything)(self._labels[0])

    def _embed(self, data: ContextData) -> None:
        """Computes the vectors of posts, histories and supports."""
        self.data, evidence = data, data.evidence
        self._vectors = embed_posts(
            self.space, evidence.facts.posts, data.caption_vectors, data.frame_vectors
        )
        self._users = join_rows(self.layout.user, self._vectors, evidence.histories)
        self._support = join_rows(
            self.layout.challenge, self._vectors, evidence.support
        )

    def _scale_habits(self) -> dict[str, np.ndarray]:
        habits = self.layout.user.part(self._users[self._known], "habits")
        habits = _with_nan(habits).astype(np.float64)
        count = np.maximum((~np.isnan(habits)).sum(axis=0), 1)
        mean = np.nansum(habits, axis=0) / count
        variance = np.nansum(np.square(habits - mean), axis=0) / count
        scale = np.where(variance > 0, 1 / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
        return {"habit_mean": mean, "habit_scale": scale}

    def _learn_labels(self, rows: np.ndarray, pool: np.ndarray) -> LabelWeights:
        tastes = [
            np.asarray(scale_taste(self.layout.user, sets, self._habits))
            for sets in (self._users, pool)
        ]
        return learn_labels(self.data.evidence, rows, *tastes)

    def _features(self, labels: LabelWeights) -> PairFeatures:
        weights = {
            **self._habits,
            "propensity": labels.propensity,
            "propensity_bias": np.array(labels.propensity_bias),
            "pairs_per_user": np.array(labels.pairs_per_user),
            "latest": np.array(self._latest()),
        }
        return PairFeatures(self.layout, weights)

    def _latest(self) -> float:
        days = self.layout.challenge.part(self._support, "days")
        known = days[is_known(days)]
        return float(known.max()) if len(known) else 0.0

    def _user_vectors(self, labels: LabelWeights) -> np.ndarray:
        evidence = self.data.evidence
        account = np.log1p(evidence.accounts)
        return np.concatenate(
            [
                self._users,
                _filled(account),
                _filled(evidence.pasts),
                labels.joined,
                self._days(evidence.user_cutoffs)[:, None],
            ],
            axis=1,
            dtype=np.float32,
        )

    def _challenge_vectors(self, labels: LabelWeights) -> np.ndarray:
        supporters = np.log1p(self.data.evidence.num_supporters)
        return np.concatenate(
            [
                self._support,
                labels.popularity[:, None],
                supporters[:, None],
                labels.taste,
                labels.ease,
            ],
            axis=1,
        ).astype(np.float32)

    def _days(self, cutoffs: np.ndarray) -> np.ndarray:
        seconds = np.where(np.isnan(cutoffs), -1, cutoffs).astype(np.int64)
        return np.asarray(self.space.day_of(tf.constant(seconds)))

    def _score(self, rows: np.ndarray, user_vectors: UserVectors) -> np.ndarray:
        """Returns the features of pairs, each with the labels of its step.

        Pairs that no step scores, such as those of the first cutoff, only get the
        features that need no labels.
        """
        values = np.empty((len(rows), len(NAMES)), np.float32)
        step_of = self.step_of[rows]
        for number in np.unique(step_of):
            places = np.flatnonzero(step_of == number)
            labels = self._labels[max(number, 0)]
            values[places] = self._score_rows(rows[places], labels, user_vectors)
            if number < 0:
                values[np.ix_(places, _OF_LABELS)] = np.nan
        return values

    def _score_rows(
        self, rows: np.ndarray, labels: LabelWeights, user_vectors: UserVectors
    ) -> np.ndarray:
        pairs, features = self.data.evidence.pairs, self._features(labels)
        users, challenges = user_vectors(labels), self._challenge_vectors(labels)
        values = np.zeros((len(rows), len(NAMES)), np.float32)
        for part in _slices(len(rows), _CHUNK):
            values[part] = features(
                tf.constant(users[pairs.user[rows[part]]]),
                tf.constant(challenges[pairs.challenge[rows[part]]]),
            )
        return _with_nan(values)

    def _draw_dropout(self) -> UserVectors:
        count, kinds = len(self._users), len(_FACT_KINDS) + 2
        everything = self._rng.random((count, 1)) < _ALL_DROPPED
        some = self._rng.random((count, kinds)) < _ONE_DROPPED
        return self._without(everything | some)

    def _without(self, is_dropped: np.ndarray) -> UserVectors:
        """Returns a function like `_user_vectors` without some kinds of facts.

        Args:
            is_dropped: bool (num_users, num_kinds), for the kinds of `_FACT_KINDS`, the
                account and the joins, in this order.
        """
        sets = self._join_without(is_dropped)

        def vectors(labels: LabelWeights) -> np.ndarray:
            users = self._user_vectors(labels)
            width = self.layout.user.width
            account = slice(width, width + len(ACCOUNT))
            joined = slice(account.stop + len(PAST), users.shape[1] - 1)
            users[:, :width] = sets
            users[is_dropped[:, -2], account] = UNKNOWN
            users[is_dropped[:, -1], account.stop : joined.start] = UNKNOWN
            users[is_dropped[:, -1], joined] = 0.0
            return users

        return vectors

    def _join_without(self, is_dropped: np.ndarray) -> np.ndarray:
        """Returns the vectors of histories without some kinds of facts."""
        histories, posts = self.data.evidence.histories, self.data.evidence.facts.posts
        soundless_posts = posts._replace(
            sounds=np.full_like(posts.sounds, b""),
            sound_titles=np.full_like(posts.sound_titles, b""),
        )
        soundless_vectors = embed_posts(
            self.space,
            soundless_posts,
            self.data.caption_vectors,
            self.data.frame_vectors,
        )
        sounds = list(_FACT_KINDS).index("sounds")
        sets = np.empty_like(self._users)
        for rows in _slices(len(histories), SETS):
            part, dropped = histories[rows], is_dropped[rows]
            vectors, valid = gather_rows(self._vectors, part, self.data.history_max)
            soundless, _ = gather_rows(soundless_vectors, part, self.data.history_max)
            vectors = np.where(dropped[:, sounds, None, None], soundless, vectors)
            facts = vectors[:, :, self.layout.user.taste :]
            for kind, names in enumerate(_FACT_KINDS.values()):
                for name in names:
                    column = facts[:, :, FACTS.index(name)]
                    column[dropped[:, kind]] = UNKNOWN
            sets[rows] = join_posts(
                self.layout.user, tf.constant(vectors), tf.constant(valid)
            )
        return sets


def _sample(rows: np.ndarray, seed: int) -> np.ndarray:
    """Returns the rows in ascending order, or a sample of `MOST_PAIRS` of them."""
    if len(rows) > MOST_PAIRS:
        rows = np.random.default_rng(seed).choice(rows, MOST_PAIRS, replace=False)
    return np.sort(rows)


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def _filled(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), UNKNOWN, values)


def _with_nan(values: np.ndarray) -> np.ndarray:
    return np.where(is_known(values), values, np.nan)
