"""Sets of posts of one length, inside the graph."""

from __future__ import annotations

import tensorflow as tf


def fit_to(values: tf.Tensor, count: int) -> tf.Tensor:
    """Truncates the second dimension, or pads it with "", 0 or False, to `count`."""
    values = values[:, :count]
    rest = values.shape[2:]
    missing = count - tf.shape(values)[1]
    margins = [[0, 0], [0, missing], *([0, 0] for _ in rest)]
    padded = tf.pad(values, margins, constant_values=tf.zeros((), values.dtype))
    return tf.ensure_shape(padded, (None, count, *rest))
