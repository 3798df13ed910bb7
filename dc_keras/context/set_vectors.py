"""Vectors of sets of posts: the history of a user or the support of a challenge.

The vector of a set has these blocks:

    topics, captions, frames  mean over the posts where known, scaled to unit length
    habits                    statistics of the posts, `HABITS`
    num_posts                 number of posts
    days                      days of the posts, ascending, `UNKNOWN` at the end
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from dc_keras.context.post_vectors import FACTS, UNKNOWN

HABITS = (
    "log_views",
    "log_likes",
    "likes_per_view",
    "comments_per_like",
    "shares_per_like",
    "duration",
    "duration_spread",
    "num_tags",
    "share_without_tags",
    "share_original",
    "log_days",
)
# Batch size in sets.
SETS = 512
_TINY = 1e-9
# Sorts after any value.
_LAST = 1e30


@dataclass(frozen=True)
class SetLayout:
    """Layout of the vector of a set.

    Attributes:
        blocks: widths of topics, captions and frames.
        num_days: maximum number of posts.
    """

    blocks: tuple[int, ...]
    num_days: int

    @property
    def taste(self) -> int:
        """Width of topics, captions and frames together."""
        return sum(self.blocks)

    @property
    def width(self) -> int:
        """Width of a set's vector."""
        return self.taste + len(HABITS) + 1 + self.num_days

    def part(self, sets: tf.Tensor, name: str) -> tf.Tensor:
        """Returns a block of the vectors of sets, float32 (batch_size, block_width).

        Args:
            sets: float32 (batch_size, width or more).
            name: "topics", "captions", "frames", "habits", "num_posts" or "days".
        """
        start, width = self._places()[name]
        return sets[:, start : start + width]

    def _places(self) -> dict[str, tuple[int, int]]:
        names = ("topics", "captions", "frames", "habits", "num_posts", "days")
        widths = (*self.blocks, len(HABITS), 1, self.num_days)
        places, start = {}, 0
        for name, width in zip(names, widths, strict=True):
            places[name] = (start, width)
            start += width
        return places


def join_posts(layout: SetLayout, posts: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Returns the vectors of sets of posts, float32 (batch_size, layout.width).

    Args:
        layout: layout of the result.
        posts: float32 (batch_size, num_posts, post_width), vectors of `PostSpace`.
        valid: bool (batch_size, num_posts), False where padded.
    """
    facts = posts[:, :, layout.taste :]
    facts = tf.where(valid[..., None], facts, UNKNOWN)
    day, duration, views, likes, comments, shares, num_tags, is_original = tf.unstack(
        facts, num=len(FACTS), axis=2
    )
    blocks, start = [], 0
    for width in layout.blocks:
        part = tf.where(valid[..., None], posts[:, :, start : start + width], 0.0)
        # Sum and mean have the same direction.
        total = tf.reduce_sum(part, axis=1)
        length = tf.norm(total, axis=1, keepdims=True)
        blocks.append(total / tf.maximum(length, _TINY))
        start += width
    first, last = _first_and_last(day)
    without_tags = tf.where(
        is_known(num_tags), tf.cast(num_tags == 0, tf.float32), UNKNOWN
    )
    habits = [
        _log1p(median(views)),
        _log1p(median(likes)),
        median(_ratio(likes, views)),
        median(_ratio(comments, likes)),
        median(_ratio(shares, likes)),
        median(duration),
        _spread(duration),
        mean(num_tags),
        mean(without_tags),
        mean(is_original),
        _log1p(tf.where(is_known(first), last - first, UNKNOWN)),
    ]
    num_posts = tf.reduce_sum(tf.cast(valid, tf.float32), axis=1)
    days = _sorted(day, layout.num_days)
    return tf.concat([*blocks, tf.stack([*habits, num_posts], axis=1), days], axis=1)


def join_rows(
    layout: SetLayout, vectors: np.ndarray, sets: Sequence[np.ndarray]
) -> np.ndarray:
    """Returns the vectors of sets of posts, float32 (num_sets, layout.width).

    Args:
        layout: layout of the result.
        vectors: float32 (num_posts, post_width), vectors of all posts.
        sets: rows of `vectors` for each set; only the first `layout.num_days` are used.
    """
    joined = np.zeros((len(sets), layout.width), np.float32)
    for start in range(0, len(sets), SETS):
        rows = slice(start, start + SETS)
        posts, valid = gather_rows(vectors, sets[rows], layout.num_days)
        joined[rows] = join_posts(layout, tf.constant(posts), tf.constant(valid))
    return joined


def gather_rows(
    vectors: np.ndarray, sets: Sequence[np.ndarray], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns sets of posts as padded arrays.

    Args:
        vectors: float32 (num_posts, width), vectors of all posts.
        sets: rows of `vectors` for each set; only the first `size` are used.
        size: number of posts per set.

    Returns:
        float32 (num_sets, size, width), 0 where padded, and bool (num_sets, size).
    """
    values = np.zeros((len(sets), size, vectors.shape[1]), np.float32)
    valid = np.zeros((len(sets), size), bool)
    for position, rows in enumerate(sets):
        count = min(len(rows), size)
        values[position, :count] = vectors[rows[:count]]
        valid[position, :count] = True
    return values, valid


def is_known(values: tf.Tensor) -> tf.Tensor:
    """Returns where values are not `UNKNOWN`, bool."""
    return values > UNKNOWN / 2


def mean(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean of the known values of each row; `UNKNOWN` without any."""
    known = tf.cast(is_known(values), tf.float32)
    count = tf.reduce_sum(known, axis=1)
    total = tf.reduce_sum(tf.where(is_known(values), values, 0.0), axis=1)
    return tf.where(count > 0, total / tf.maximum(count, 1.0), UNKNOWN)


def median(values: tf.Tensor) -> tf.Tensor:
    """Returns the median of the known values of each row; `UNKNOWN` without any."""
    count = tf.reduce_sum(tf.cast(is_known(values), tf.int32), axis=1)
    ordered = tf.sort(tf.where(is_known(values), values, _LAST), axis=1)
    middle = tf.stack([tf.maximum(count - 1, 0) // 2, count // 2], axis=1)
    middle = tf.minimum(middle, tf.maximum(count - 1, 0)[:, None])
    medians = tf.reduce_mean(tf.gather(ordered, middle, batch_dims=1), axis=1)
    return tf.where(count > 0, medians, UNKNOWN)


def _spread(values: tf.Tensor) -> tf.Tensor:
    """Returns the standard deviation of the known values of each row."""
    centre = mean(values)
    squares = tf.where(is_known(values), tf.square(values - centre[:, None]), UNKNOWN)
    variance = mean(squares)
    return tf.where(is_known(variance), tf.sqrt(tf.maximum(variance, 0.0)), UNKNOWN)


def _ratio(above: tf.Tensor, below: tf.Tensor) -> tf.Tensor:
    both = is_known(above) & is_known(below)
    return tf.where(both, above / tf.maximum(below, 1.0), UNKNOWN)


def _log1p(values: tf.Tensor) -> tf.Tensor:
    safe = tf.math.log1p(tf.maximum(values, 0.0))
    return tf.where(is_known(values), safe, UNKNOWN)


def _first_and_last(day: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first and the last known day of each row; `UNKNOWN` without any."""
    last = tf.reduce_max(day, axis=1)
    first = tf.reduce_min(tf.where(is_known(day), day, _LAST), axis=1)
    return tf.where(is_known(last), first, UNKNOWN), last


def _sorted(day: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the known days of each row, ascending, padded by `UNKNOWN` to `count`."""
    missing = tf.maximum(count - tf.shape(day)[1], 0)
    day = tf.pad(day, [[0, 0], [0, missing]], constant_values=UNKNOWN)[:, :count]
    ordered = tf.sort(tf.where(is_known(day), day, _LAST), axis=1)
    ordered = tf.where(ordered < _LAST, ordered, UNKNOWN)
    return tf.ensure_shape(ordered, (None, count))
