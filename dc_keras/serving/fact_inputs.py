"""The facts of a request: what a researcher's export has beside captions and frames.

sounds         string (B, m)      ids of sounds, "" where unknown
sound_titles   string (B, m)      "" where unknown
create_times   int64 (B, m)       UTC seconds, -1 where unknown
durations      float32 (B, m)     seconds, -1 where unknown
counts         float32 (B, m, 4)  views, likes, comments, shares; -1 where unknown
account        float32 (B, 3)     followers, likes and posts; -1 where unknown
joined         string (B, j)      challenges that the user is known to have joined;
"" where unknown. A name that the model does not
know says that joins are known, but not this one.
now            int64 (B,)         when is being asked, UTC seconds; -1 for after all
that the model was trained on
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
    """Facts of sets of posts, (batch_size, num_posts, …) each."""

    sounds: tf.Tensor
    sound_titles: tf.Tensor
    create_times: tf.Tensor
    durations: tf.Tensor
    counts: tf.Tensor


class UserFacts(NamedTuple):
    """Facts of users, (batch_size, …) each."""

    account: tf.Tensor
    joined: tf.Tensor
    now: tf.Tensor


def unknown_post_facts(captions: tf.Tensor) -> PostFactsOfSets:
    """Returns the facts of posts of which nothing is known.

    Args:
        captions: string (batch_size, num_posts).
    """
    return PostFactsOfSets(**_unknown(OF_POSTS, tf.shape(captions)))


def unknown_user_facts(captions: tf.Tensor) -> UserFacts:
    """Returns the facts of users of whom nothing is known; see `unknown_post_facts`."""
    return UserFacts(**_unknown(OF_USERS, tf.shape(captions)[:1]))


def _unknown(
    facts: Mapping[str, tuple[Any, tuple[int, ...]]], shape: tf.Tensor
) -> dict[str, tf.Tensor]:
    return {
        name: tf.fill(tf.concat([shape, tf.constant(rest, tf.int32)], axis=0), value)
        for name, (value, rest) in facts.items()
    }
