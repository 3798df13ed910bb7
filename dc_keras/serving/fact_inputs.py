"""Inputs of signatures for facts about posts and users, besides captions and frames.

sounds         string (B, m)      ids of sounds, "" if unknown
sound_titles   string (B, m)      titles of sounds, "" if unknown
create_times   int64 (B, m)       UTC seconds, -1 if unknown
durations      float32 (B, m)     seconds, -1 if unknown
counts         float32 (B, m, 4)  views, likes, comments, shares; -1 if unknown
account        float32 (B, 3)     followers, likes and posts; -1 if unknown
joined         string (B, j)      challenges that the user has joined, padded with
""; only "" if they are unknown. A name outside
the bundle marks the joins as known.
now            int64 (B,)         time of the prediction, UTC seconds; -1 for the
time after the training data
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from dc_keras.serving.unknown_facts import OF_POSTS, OF_USERS

POST_SPECS = (
    tf.TensorSpec((None, None), tf.string, name="sounds"),
    tf.TensorSpec((None, None), tf.string, name="sound_titles"),
    tf.TensorSpec((None, None), tf.int64, name="create_times"),
    tf.TensorSpec((None, None), tf.float32, name="durations"),
    tf.TensorSpec((None, None, 4), tf.float32, name="counts"),
)
USER_SPECS = (
    tf.TensorSpec((None, 3), tf.float32, name="account"),
    tf.TensorSpec((None, None), tf.string, name="joined"),
    tf.TensorSpec((None,), tf.int64, name="now"),
)


class PostFactsOfSets(NamedTuple):
    """Facts of sets of posts, each (batch_size, num_posts, …)."""

    sounds: tf.Tensor
    sound_titles: tf.Tensor
    create_times: tf.Tensor
    durations: tf.Tensor
    counts: tf.Tensor


class UserFacts(NamedTuple):
    """Facts of users, each (batch_size, …)."""

    account: tf.Tensor
    joined: tf.Tensor
    now: tf.Tensor


def unknown_post_facts(captions: tf.Tensor) -> PostFactsOfSets:
    """Returns unknown facts for sets of posts.

    Args:
        captions: captions of the posts, string (batch_size, num_posts).
    """
    return PostFactsOfSets(**_fill(OF_POSTS, tf.shape(captions)))


def unknown_user_facts(captions: tf.Tensor) -> UserFacts:
    """Returns unknown facts for users; see `unknown_post_facts`."""
    return UserFacts(**_fill(OF_USERS, tf.shape(captions)[:1]))


def _fill(
    facts: Mapping[str, tuple[Any, tuple[int, ...]]], shape: tf.Tensor
) -> dict[str, tf.Tensor]:
    return {
        name: tf.fill(tf.concat([shape, tf.constant(rest, tf.int32)], axis=0), value)
        for name, (value, rest) in facts.items()
    }
