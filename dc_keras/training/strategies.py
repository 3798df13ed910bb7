"""Names for `tf.distribute` strategies, as the `--strategy` flag takes them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def make_strategy(name: str) -> Any:
    """Builds a strategy.

    Args:
        name: `default` (whatever TensorFlow would do), `one_device` (the first GPU, or
            the CPU) or `mirrored` (a replica on each GPU, or on each logical CPU).

    Raises:
        ValueError: an unknown name.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "default":
        return tf.distribute.get_strategy()
    if name == "one_device":
        return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")
    if name == "mirrored":
        devices = gpus or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    raise ValueError(
        f"`name` must be default, one_device or mirrored. Received: name={name}"
    )
