"""Inputs of signatures for facts about posts and users, besides captions and frames.

docs/serving.md has a table of their units and of the values for unknown.
"""

from __future__ import annotations

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


def unknown_facts_of(captions: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns unknown facts of posts, and then of their users, by name.

    Args:
        captions: captions of the posts, string (batch_size, num_posts).
    """
    shape = tf.shape(captions)
    return {
        name: tf.fill(tf.concat([dims, tf.constant(rest, tf.int32)], axis=0), value)
        for facts, dims in ((OF_POSTS, shape), (OF_USERS, shape[:1]))
        for name, (value, rest) in facts.items()
    }
