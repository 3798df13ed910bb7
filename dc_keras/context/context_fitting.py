"""Fits context features on the training pairs of a fold, out of fold for these."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from dc_keras.context.fold_data import Evidence
from dc_keras.context.cross_fit_plan import Step
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
from dc_keras.context.set_vectors import SetLayout, is_known, join_posts

# Rows that are computed at a time.
_CHUNK = 8192
_SETS = 512
# How likely training asks a question with captions and frames alone, and how likely it
# leaves out each kind of fact from the other questions.
_ALL_DROPPED = 0.5
_ONE_DROPPED = 0.5
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
    """What context features are fitted on.

    Attributes:
        evidence: users, challenges and pairs; labels only through `pairs`.
        caption_vectors: float32 (num_posts, dim), a row a post of the facts, zero where
            there is none, or None.
        frame_vectors: float32 (num_posts, dim), the mean frame embedding by the user
            side's network, zero where there is none, or None.
        history_max: posts of a user that count.
        support_max: posts of a challenge that count.
        focal_terms: the hashtags and sounds that mark a challenge, as terms; they get
            no weight.
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

    Args:
        data: what they are fitted on.
        train: positions of the training pairs.
        steps: of `folds.plan_steps`; what no step scores is unknown.
        seed: of topics and of what is left out.

    Attributes:
        space: embeds posts.
        layout: of users' and challenges' vectors.
        values: float32 (num_pairs, len(NAMES)), NaN where unknown; out of fold for
            training pairs.
        dropped: float32 (len(train), len(NAMES)), the same of training pairs whose user
            is asked about with some facts left out.
    """

    def __init__(
        self, data: ContextData, train: np.ndarray, steps: Sequence[Step], seed: int
    ) -> None:
        self.train = train
        self.steps = steps
        evidence = data.evidence
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
        self._see(data)
        pool = join_rows(self.layout.user, self._vectors, evidence.pool_histories)
        self._habits = self._scale_habits()
        self._labels = [self._learn_labels(step.fitted, pool) for step in steps]
        self.values = self._score_steps(self._user_vectors)
        dropping = self._draw_dropping()
        self.dropped = self._score_steps(dropping)[train]

    @cached_property
    def pair_features(self) -> PairFeatures:
        """Computes the features of new pairs."""
        return self._features(self._labels[0])

    @cached_property
    def users(self) -> np.ndarray:
        """The vectors of the panel's users, float32 (num_users, user_width)."""
        return self._user_vectors(self._labels[0])

    @cached_property
    def challenges(self) -> np.ndarray:
        """The vectors of challenges, float32 (num_challenges, challenge_width)."""
        return self._challenge_vectors(self._labels[0])

    def describe(self, data: ContextData) -> tuple[np.ndarray, np.ndarray]:
        """Returns `users` and `challenges` as other data have them.

        Args:
            data: the same users and challenges, with other posts or features.
        """
        other = copy.copy(self)
        for name in ("users", "challenges"):
            other.__dict__.pop(name, None)
        other._see(data)
        return other.users, other.challenges

    @property
    def support_posts(self) -> np.ndarray:
        """The posts that describe challenges, (num_challenges, support_max, width)."""
        sets, size = self.data.evidence.support, self.layout.challenge.num_days
        return gather_rows(self._vectors, sets, size)[0]

    def users_without_facts(self) -> np.ndarray:
        """Returns `users` as they are asked about with captions and frames alone."""
        everything = np.ones((len(self._users), len(_FACT_KINDS) + 2), bool)
        return self._without(everything)(self._labels[0])

    def _see(self, data: ContextData) -> None:
        """Embeds posts and joins them to histories and supports."""
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
        ).astype(np.float32)

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

    def _score_steps(self, user_vectors: UserVectors) -> np.ndarray:
        """Scores each pair by labels that its step has seen.

        Pairs that no step scores, such as those of the first cutoff, get the features
        that need no label.
        """
        count = len(self.data.evidence.pairs)
        values = np.full((count, len(NAMES)), np.nan, np.float32)
        for step, labels in zip(self.steps, self._labels, strict=True):
            rows = step.scored
            values[rows] = self._score_rows(rows, labels, user_vectors)
        scored = np.concatenate([step.scored for step in self.steps])
        rest = np.setdiff1d(np.arange(count), scored)
        if len(rest):
            values[rest] = self._score_rows(rest, self._labels[0], user_vectors)
            values[np.ix_(rest, _OF_LABELS)] = np.nan
        return values

    def _score_rows(
        self, rows: np.ndarray, labels: LabelWeights, user_vectors: UserVectors
    ) -> np.ndarray:
        pairs = self.data.evidence.pairs
        found = _in_chunks(
            self._features(labels),
            user_vectors(labels),
            self._challenge_vectors(labels),
            pairs.user[rows],
            pairs.challenge[rows],
        )
        return _with_nan(found)

    def _draw_dropping(self) -> UserVectors:
        count, kinds = len(self._users), len(_FACT_KINDS) + 2
        everything = self._rng.random((count, 1)) < _ALL_DROPPED
        some = self._rng.random((count, kinds)) < _ONE_DROPPED
        return self._without(everything | some)

    def _without(self, is_dropped: np.ndarray) -> UserVectors:
        """Returns users' vectors without some kinds of facts.

        Args:
            is_dropped: bool (num_users, kinds): those of `_FACT_KINDS`, the account,
                and the joins.
        """
        sets = self._join_without(is_dropped)

        def vectors(labels: LabelWeights) -> np.ndarray:
            whole = self._user_vectors(labels)
            width = self.layout.user.width
            account = slice(width, width + len(ACCOUNT))
            joined = slice(account.stop + len(PAST), whole.shape[1] - 1)
            whole[:, :width] = sets
            whole[is_dropped[:, -2], account] = UNKNOWN
            whole[is_dropped[:, -1], account.stop : joined.start] = UNKNOWN
            whole[is_dropped[:, -1], joined] = 0.0
            return whole

        return vectors

    def _join_without(self, is_dropped: np.ndarray) -> np.ndarray:
        """Joins histories to the vectors that they have without some facts."""
        histories, posts = self.data.evidence.histories, self.data.evidence.facts.posts
        silent = posts._replace(
            sounds=np.full_like(posts.sounds, b""),
            sound_titles=np.full_like(posts.sound_titles, b""),
        )
        without_sounds = embed_posts(
            self.space, silent, self.data.caption_vectors, self.data.frame_vectors
        )
        sounds = list(_FACT_KINDS).index("sounds")
        sets = np.empty_like(self._users)
        for rows in _cut(len(histories), _SETS):
            part, gone = histories[rows], is_dropped[rows]
            told, valid = gather_rows(self._vectors, part, self.data.history_max)
            quiet, _ = gather_rows(without_sounds, part, self.data.history_max)
            kept = np.where(gone[:, sounds, None, None], quiet, told)
            facts = kept[:, :, self.layout.user.taste :]
            for kind, names in enumerate(_FACT_KINDS.values()):
                for name in names:
                    column = facts[:, :, FACTS.index(name)]
                    column[gone[:, kind]] = UNKNOWN
            sets[rows] = join_posts(
                self.layout.user, tf.constant(kept), tf.constant(valid)
            )
        return sets


def join_rows(
    layout: SetLayout, vectors: np.ndarray, sets: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns the vectors of sets, float32 (num_sets, layout.width).

    Args:
        layout: of the result.
        vectors: float32 (num_posts, width of a post).
        sets: rows of `vectors`; those beyond `layout.num_days` do not count.
    """
    joined = np.zeros((len(sets), layout.width), np.float32)
    for rows in _cut(len(sets), _SETS):
        posts, valid = gather_rows(vectors, sets[rows], layout.num_days)
        joined[rows] = join_posts(layout, tf.constant(posts), tf.constant(valid))
    return joined


def gather_rows(
    vectors: np.ndarray, sets: Sequence[np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns sets padded to `size` posts: values, and whether there is a post."""
    values = np.zeros((len(sets), size, vectors.shape[1]), np.float32)
    valid = np.zeros((len(sets), size), bool)
    for position, rows in enumerate(sets):
        count = min(len(rows), size)
        values[position, :count] = vectors[rows[:count]]
        valid[position, :count] = True
    return values, valid


def _in_chunks(
    features: PairFeatures,
    users: np.ndarray,
    challenges: np.ndarray,
    user: np.ndarray,
    challenge: np.ndarray,
) -> np.ndarray:
    found = np.zeros((len(user), len(NAMES)), np.float32)
    for rows in _cut(len(user), _CHUNK):
        found[rows] = features(
            tf.constant(users[user[rows]]), tf.constant(challenges[challenge[rows]])
        )
    return found


def _cut(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def _filled(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), UNKNOWN, values)


def _with_nan(values: np.ndarray) -> np.ndarray:
    return np.where(is_known(values), values, np.nan)
