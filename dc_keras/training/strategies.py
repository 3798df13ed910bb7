"""`tf.distribute` strategies by the values of the `--strategy` flag."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import tensorflow as tf

from dc_keras.errors import DataError
from dc_keras.training.workers import is_chief


def make_strategy(name: str, tpu_address: str = "") -> Any:
    """Returns a distribution strategy; those of several replicas once per process.

    `multi_worker` waits for all workers, and must be created before any other use of
    TensorFlow.

    Args:
        name: "default" (TensorFlow's current strategy), "one_device" (the first GPU, or
            the CPU), "mirrored" (one replica per GPU, or per logical CPU),
            "multi_worker" (the workers in `TF_CONFIG`) or "tpu".
        tpu_address: name of a Cloud TPU, its grpc:// address, or "local" on the TPU's
            own machine.

    Raises:
        DataError: if `TF_CONFIG` is invalid, or the TPU is not available.
    """
    builders: dict[str, Callable[[], Any]] = {
        "default": tf.distribute.get_strategy,
        "one_device": _one_device,
        "mirrored": _mirrored,
        "multi_worker": _multi_worker,
        "tpu": lambda: _tpu(tpu_address),
    }
    return builders[name]()


def _one_device() -> Any:
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    return tf.distribute.OneDeviceStrategy("/gpu:0" if has_gpu else "/cpu:0")


# Replicas number their messages, and a second strategy would restart the numbers.
@cache
def _mirrored() -> Any:
    devices = tf.config.list_logical_devices("GPU")
    devices = devices or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


@cache
def _multi_worker() -> Any:
    is_chief()  # checks TF_CONFIG, whose errors TensorFlow does not explain
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
            "`strategy` tpu needs an available TPU "
            f"({reason}). Received: tpu_address={address or 'nothing'}."
        ) from error
    return tf.distribute.TPUStrategy(resolver)
