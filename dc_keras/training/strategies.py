"""`tf.distribute` strategies, by the names that the `--strategy` flag takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.training.workers import Worker


def make_strategy(name: str, tpu_address: str = "") -> Any:
    """Returns a strategy.

    One of several replicas is made once a process. `multi_worker` waits until all
    workers are there, and must come before anything else of TensorFlow.

    Args:
        name: `default` (whatever TensorFlow would do), `one_device` (the first GPU, or
            the CPU), `mirrored` (a replica on each GPU, or on each logical CPU),
            `multi_worker` (the workers of `TF_CONFIG`) or `tpu`.
        tpu_address: name of a Cloud TPU, its grpc:// address, or `local` on its own
            machine.

    Raises:
        DataError: `TF_CONFIG` names no workers, or there is no such TPU.
        ValueError: an unknown name.
    """
    builders: dict[str, Callable[[], Any]] = {
        "default": tf.distribute.get_strategy,
        "one_device": _one_device,
        "mirrored": _mirrored,
        "multi_worker": _multi_worker,
        "tpu": lambda: _tpu(tpu_address),
    }
    if name not in builders:
        raise ValueError(
            f"`name` must be one of {', '.join(builders)}. Received: name={name}"
        )
    return builders[name]()


def _one_device() -> Any:
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    return tf.distribute.OneDeviceStrategy("/gpu:0" if has_gpu else "/cpu:0")


# Replicas number what they tell each other; a second strategy would begin anew.
@cache
def _mirrored() -> Any:
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@cache
def _multi_worker() -> Any:
    Worker.from_environment()
    return tf.distribute.MultiWorkerMirroredStrategy()


@cache
def _tpu(address: str) -> Any:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            "`strategy` tpu needs a TPU that answers "
            f"({reason}). Received: tpu_address={address or 'nothing'}."
        ) from error
    return tf.distribute.TPUStrategy(resolver)
