"""The context features of a pair: functions of the vectors of user and challenge.

The vector of a user is the vector of their history (`set_vectors`), followed by

    account  followers, likes and posts of the account, log(1 + number)
    past     challenges joined, posts and days before `now`, if known
    joined   1 if joins are known, then 1 for each challenge that the user has joined
    now      the day of the prediction; `UNKNOWN` means the last day of training

The vector of a challenge is the vector of the posts that describe it, followed by

    popularity  log-odds of joining the challenge
    supporters  log(1 + number of authors of the posts that describe it)
    taste       weights of a ridge regression on topics, captions, frames and habits
    ease        EASE weights of the user's other joins
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace as Parts

import numpy as np
import tensorflow as tf

from dc_keras.context.post_vectors import UNKNOWN
from dc_keras.context.set_vectors import HABITS, SetLayout, is_known

ACCOUNT = ("followers", "total_likes", "total_posts")
PAST = ("joined", "joined_per_post", "posts_per_day")
RECENT_DAYS = 14.0
LAST_DAYS = 7.0
# Weight, in pairs, of a user's predicted rate relative to the known joins.
PROPENSITY_PRIOR_PAIRS = 20.0
# Scale of the standardized habits, relative to blocks of unit length.
HABIT_SCALE = 0.15
_MONTH = 30.0
# Time differences are clipped to this many months.
_FAR = 4.0
_NEAR_DAYS = 3.0
# Numbers of posts. A history only has the newest posts; the time span of more posts is
# extrapolated from the mean gap between posts.
_REACHES = (3, 7, 12, 18, 25)
_MIN_GAP_DAYS = 0.05
# Quantiles of the days of a challenge: begin and end of its time, and of its core.
_QUANTILES = (0.05, 0.95, 0.1, 0.9)
_MIN_RATE = 1e-4
_PRIOR_JOINS, _PRIOR_POSTS, _PRIOR_DAYS = 0.5, 2.0, 7.0

_OVERLAP = (
    "support_in_span",
    "log_support_in_span",
    "last_post_after_median",
    "first_post_after_median",
    "posts_in_window",
    "log_support_near_last_post",
    *(f"support_within_{count}_posts" for count in _REACHES),
    "support_after",
    "posts_in_core",
)
NAMES = (
    "rates/popularity",
    "rates/propensity",
    "rates/supporters",
    "rates/recent_supporters",
    "rates/last_supporters",
    "text/taste",
    "text/topic_cosine",
    "text/caption_cosine",
    "frames/cosine",
    "neighbours/ease",
    *(f"time/{name}" for name in _OVERLAP),
    "time/user_age",
    "time/user_silence",
    "time/challenge_age",
    "time/challenge_silence",
    *(f"past/{name}" for name in PAST),
    *(f"engagement/user_{name}" for name in (*HABITS, *ACCOUNT)),
    *(f"engagement/challenge_{name}" for name in HABITS),
)


@dataclass(frozen=True)
class PairLayout:
    """Layout of the vectors of users and challenges.

    Attributes:
        user: layout of a history.
        challenge: layout of the posts that describe a challenge.
        num_challenges: number of challenges in `joined` and `ease`.
    """

    user: SetLayout
    challenge: SetLayout
    num_challenges: int

    @property
    def user_widths(self) -> dict[str, int]:
        """Widths of the parts of a user's vector."""
        return {
            "history": self.user.width,
            "account": len(ACCOUNT),
            "past": len(PAST),
            "are_joins_known": 1,
            "joined": self.num_challenges,
            "now": 1,
        }

    @property
    def challenge_widths(self) -> dict[str, int]:
        """Widths of the parts of a challenge's vector."""
        return {
            "support": self.challenge.width,
            "popularity": 1,
            "supporters": 1,
            "taste": self.user.taste + len(HABITS),
            "ease": self.num_challenges,
        }

    @property
    def user_width(self) -> int:
        """Width of a user's vector."""
        return sum(self.user_widths.values())

    @property
    def challenge_width(self) -> int:
        """Width of a challenge's vector."""
        return sum(self.challenge_widths.values())


def _split(vectors: tf.Tensor, widths: Mapping[str, int]) -> Parts:
    """Returns the parts of vectors as attributes, each (batch_size, width)."""
    parts = tf.split(vectors, list(widths.values()), axis=1)
    return Parts(**dict(zip(widths, parts, strict=True)))


class PairFeatures(tf.Module):
    """Computes the context features of pairs.

    Args:
        layout: layout of the vectors.
        weights: float32 arrays by name. `habit_mean` and `habit_scale`
            (len(HABITS),). `propensity` (taste_width,) and `propensity_bias` (): linear
            model of the rate of joining on taste. `pairs_per_user` (): mean number of
            pairs of users whose joins are known. `latest` (): last day of training.
    """

    def __init__(self, layout: PairLayout, weights: Mapping[str, np.ndarray]) -> None:
        super().__init__(name="pair_features")
        self.layout = layout
        self.weights = {n: np.asarray(v, np.float32) for n, v in weights.items()}
        self._variables = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in self.weights.items()
        }

    def __call__(self, users: tf.Tensor, challenges: tf.Tensor) -> tf.Tensor:
        """Returns the features of pairs, `UNKNOWN` where unknown.

        Args:
            users: float32 (batch_size, layout.user_width).
            challenges: float32 (batch_size or 1, layout.challenge_width).

        Returns:
            float32 (batch_size, len(NAMES)), in the order of `NAMES`.
        """
        user = _split(users, self.layout.user_widths)
        challenge = _split(challenges, self.layout.challenge_widths)
        now = tf.where(is_known(user.now), user.now, self._variables["latest"])
        taste = scale_taste(self.layout.user, user.history, self._variables)
        days = self.layout.challenge.part(challenge.support, "days")
        columns = [
            challenge.popularity,
            log_odds(self._propensity(taste, user)),
            challenge.supporters,
            tf.math.log1p(_count(days, now - RECENT_DAYS, now)),
            tf.math.log1p(_count(days, now - LAST_DAYS, now)),
            dot(taste, challenge.taste),
            *self._cosines(user, challenge),
            dot(user.joined, challenge.ease),
            *self._overlap(user, challenge),
            *_ages(self.layout.user.part(user.history, "days"), now),
            *_ages(days, now),
            *_past(user.past),
            self.layout.user.part(user.history, "habits"),
            user.account,
            self.layout.challenge.part(challenge.support, "habits"),
        ]
        # Features of the challenge alone may have one row for all users.
        zero = tf.zeros_like(users[:, :1])
        return tf.concat([column + zero for column in columns], axis=1)

    def _propensity(self, taste: tf.Tensor, user: Parts) -> tf.Tensor:
        """Returns the rate at which users join, predicted and from known joins."""
        weights = self._variables["propensity"]
        rate = taste @ weights[:, None] + self._variables["propensity_bias"]
        rate = tf.clip_by_value(rate, 10 * _MIN_RATE, 1.0)
        joins = tf.reduce_sum(user.joined, axis=1, keepdims=True)
        pairs = self._variables["pairs_per_user"] * user.are_joins_known
        prior = PROPENSITY_PRIOR_PAIRS
        return (joins + prior * rate) / (pairs + prior)

    def _cosines(self, user: Parts, challenge: Parts) -> list[tf.Tensor]:
        left, right = self.layout.user, self.layout.challenge
        return [
            dot(left.part(user.history, name), right.part(challenge.support, name))
            for name in ("topics", "captions", "frames")
        ]

    def _overlap(self, user: Parts, challenge: Parts) -> list[tf.Tensor]:
        """Returns the features `_OVERLAP` of the days of history and challenge."""
        own = self.layout.user.part(user.history, "days")
        days = self.layout.challenge.part(challenge.support, "days")
        first, last = own[:, :1], tf.reduce_max(own, axis=1, keepdims=True)
        count = _count(days, 0.9 * UNKNOWN, -UNKNOWN)
        safe = tf.maximum(count, 1.0)
        inside = _count(days, first, last)
        begin, end, core_begin, core_end = (_quantile(days, q) for q in _QUANTILES)
        median = _middle(days)
        num_own = tf.maximum(_count(own, 0.9 * UNKNOWN, -UNKNOWN), 1.0)
        gap = (last - first) / tf.maximum(num_own - 1.0, 1.0)
        near = _count(days, last - RECENT_DAYS, last + RECENT_DAYS)
        common = tf.minimum(last + 1.0, core_end) - tf.maximum(
            last - _REACHES[-1] * gap, core_begin
        )
        columns = [
            inside / safe,
            tf.math.log1p(inside),
            tf.clip_by_value((last - median) / _MONTH, -_FAR, _FAR),
            tf.clip_by_value((first - median) / _MONTH, -_FAR, _FAR),
            _count(own, begin - _NEAR_DAYS, end + _NEAR_DAYS) / num_own,
            tf.math.log1p(near),
            *(
                _count(days, last - reach * gap, last + _NEAR_DAYS) / safe
                for reach in _REACHES
            ),
            _count(days, last - _NEAR_DAYS, last + RECENT_DAYS) / safe,
            tf.math.log1p(tf.maximum(common, 0.0) / tf.maximum(gap, _MIN_GAP_DAYS)),
        ]
        both = is_known(first) & (count > 0)
        return [tf.where(both, column, UNKNOWN) for column in columns]


def scale_taste(
    layout: SetLayout, sets: tf.Tensor, weights: Mapping[str, tf.Tensor | np.ndarray]
) -> tf.Tensor:
    """Returns the taste of users, float32 (batch_size, taste_width).

    It has topics, captions, frames, and the standardized habits times `HABIT_SCALE`, 0
    where unknown. `sets` are vectors of histories, float32 (batch_size, layout.width);
    `weights` has `habit_mean` and `habit_scale`, each (len(HABITS),).
    """
    habits = layout.part(sets, "habits")
    mean, scale = (
        tf.cast(weights[name], tf.float32) for name in ("habit_mean", "habit_scale")
    )
    scaled = tf.where(is_known(habits), (habits - mean) * scale * HABIT_SCALE, 0.0)
    return tf.concat([sets[:, : layout.taste], scaled], axis=1)


def dot(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Returns the dot products of rows, float32 (batch_size, 1).

    The sum is a matrix product with ones, because XLA's reductions add floats one by
    one.
    """
    return (left * right) @ tf.ones((left.shape[1], 1))


def _count(days: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Returns the number of known days of each row in [begin, end]."""
    inside = (days >= begin) & (days <= end) & is_known(days)
    return tf.cast(inside, tf.float32) @ tf.ones((days.shape[1], 1))


def _quantile(days: tf.Tensor, share: float) -> tf.Tensor:
    """Returns a quantile of the known days of each row, as `np.quantile` does."""
    count = tf.reduce_sum(tf.cast(is_known(days), tf.float32), axis=1, keepdims=True)
    place = tf.maximum(count - 1.0, 0.0) * share
    number = tf.range(days.shape[1], dtype=tf.float32)[None]
    # A weighted sum over the row instead of a lookup, for XLA.
    weight = tf.maximum(1.0 - tf.abs(number - place), 0.0)
    return tf.reduce_sum(
        tf.where(is_known(days), days * weight, 0.0), axis=1, keepdims=True
    )


def _middle(days: tf.Tensor) -> tf.Tensor:
    """Returns the upper median of the known days of each row."""
    count = tf.reduce_sum(tf.cast(is_known(days), tf.float32), axis=1, keepdims=True)
    number = tf.range(days.shape[1], dtype=tf.float32)[None]
    chosen = tf.cast(number == tf.floor(count / 2.0), tf.float32)
    return tf.reduce_sum(
        tf.where(is_known(days), days * chosen, 0.0), axis=1, keepdims=True
    )


def _ages(days: tf.Tensor, now: tf.Tensor) -> list[tf.Tensor]:
    """Returns log(1 + days) from the first and the last day of each row to `now`."""
    last = tf.reduce_max(days, axis=1, keepdims=True)
    return [
        tf.where(is_known(last), tf.math.log1p(tf.maximum(now - day, 0.0)), UNKNOWN)
        for day in (days[:, :1], last)
    ]


def _past(past: tf.Tensor) -> list[tf.Tensor]:
    """Returns the features `PAST` of joins and posts before `now`."""
    joined, posts, days = tf.split(tf.maximum(past, 0.0), 3, axis=1)
    columns = [
        tf.math.log1p(joined),
        tf.math.log((joined + _PRIOR_JOINS) / (posts + _PRIOR_POSTS)),
        tf.math.log((posts + 1.0) / (days + _PRIOR_DAYS)),
    ]
    known = is_known(past[:, :1])
    return [tf.where(known, column, UNKNOWN) for column in columns]


def log_odds(rate: tf.Tensor) -> tf.Tensor:
    """Returns log(p / (1 − p)) with p clipped to [.0001, .9999]."""
    safe = tf.clip_by_value(rate, _MIN_RATE, 1.0 - _MIN_RATE)
    return tf.math.log(safe) - tf.math.log1p(-safe)
