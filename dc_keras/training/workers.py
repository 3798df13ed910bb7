"""Workers of distributed training and their output directories.

This module does not import TensorFlow.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dc_keras.errors import DataError
from tfrecords.storage.locking import writing

_VARIABLE = "TF_CONFIG"
_TYPES = ("chief", "worker")


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
