"""`tf.distribute` strategies by the values of the `--strategy` flag.

Of several workers, one writes the results: `writable_directory`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import tensorflow as tf

from dc_keras.errors import DataError
from tfrecords.storage.locking import writing

_VARIABLE = "TF_CONFIG"
_TYPES = ("chief", "worker")


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


def is_chief() -> bool:
    """Returns whether this process writes the results of a distributed training.

    It is the task of type "chief" of `TF_CONFIG`, or the first worker if there is none.

    Raises:
        DataError: `TF_CONFIG` is missing, is not JSON, or does not list this process.
    """
    text = os.environ.get(_VARIABLE, "")
    try:
        config = json.loads(text)
        addresses = {kind: config["cluster"].get(kind, []) for kind in _TYPES}
        kind, index = config["task"]["type"], int(config["task"]["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _bad_config(text) from error
    if not _is_listed(addresses, kind, index):
        raise _bad_config(text)
    return bool(kind == "chief" or (index == 0 and not addresses["chief"]))


def _is_listed(addresses: dict[str, Any], kind: str, index: int) -> bool:
    if not all(isinstance(of_kind, list) for of_kind in addresses.values()):
        return False
    return kind in _TYPES and 0 <= index < len(addresses[kind])


def _bad_config(text: str) -> DataError:
    return DataError(
        f"`{_VARIABLE}` must be JSON with the `cluster`'s worker addresses and the "
        "`task`'s type and index among them, as TensorFlow documents it. Received: "
        f"{_VARIABLE}={' '.join(text.split()) or 'nothing'}."
    )


@contextmanager
def writable_directory(directory: Path, strategy: str) -> Iterator[Path]:
    """Provides the directory that a worker may write to.

    The chief writes to the output directory. Other workers run the same training and
    write to a temporary copy, which has the chief's backup and finished parts, so that
    all resume from the same state. Call this after `make_strategy`, which waits for all
    workers.

    Args:
        directory: output directory, accessible to all workers.
        strategy: value of the `--strategy` flag; only "multi_worker" has other workers.

    Raises:
        DataError: if another training is writing to the directory.
    """
    if strategy != "multi_worker" or is_chief():
        with writing(directory):
            yield directory
        return
    with tempfile.TemporaryDirectory(prefix="dc_keras-worker-") as temporary:
        copy = Path(temporary) / directory.name
        if directory.exists():
            ignored = shutil.ignore_patterns("tensorboard", ".*", "SHA256SUMS")
            shutil.copytree(directory, copy, ignore=ignored)
        yield copy
