"""Pipelines of tf.data without the thread that tunes them."""

from __future__ import annotations

import tensorflow as tf


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns a dataset that ends when it is at its end.

    The thread that TensorFlow starts to tune a pipeline sleeps between looks, each time
    twice as long, and what iterates may wait for it at the end: of plain reads of 6.7 s
    two in five took 10.2 s. Sizes of buffers and numbers of calls must therefore be
    given, not `tf.data.AUTOTUNE`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
