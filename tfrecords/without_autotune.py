"""Pipelines of `tf.data` without the autotuning thread."""

from __future__ import annotations

import tensorflow as tf


def without_autotune(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset with autotuning disabled.

    TensorFlow's autotuning thread sleeps for intervals that double each time, and the
    end of an iteration may wait for it: two of five plain reads of 6.7 s took 10.2 s.
    Use explicit buffer sizes and numbers of calls instead of `tf.data.AUTOTUNE`.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
