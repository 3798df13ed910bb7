"""Which of several machines this is, and where it may write. No TensorFlow in here."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_keras.errors import DataError
from tfrecords.storage.locking import writing

_VARIABLE = "TF_CONFIG"
_TYPES = ("chief", "worker")


@dataclass(frozen=True)
class Worker:
    """This process among those that train together.

    Attributes:
        kind: `chief` or `worker`, the task's type.
        index: its number among those of its kind.
        num_workers: how many train together, the chief included.
        is_chief: whether it is the one that writes the results: the task of type
            `chief`, or the first worker where there is none.
    """

    kind: str
    index: int
    num_workers: int
    is_chief: bool

    @classmethod
    def from_environment(cls) -> Worker:
        """Reads `TF_CONFIG`.

        Raises:
            DataError: it is missing, no JSON, or does not name this process.
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
        is_chief = kind == "chief" or (index == 0 and not addresses["chief"])
        return cls(kind, index, sum(map(len, addresses.values())), is_chief)


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
    """Gives a worker the place that it may write to.

    All workers run the same training and the same callbacks. The chief's files are the
    result; the others work in a copy that is deleted in the end. The copy has the
    chief's backup and its finished parts, so that all go on from the same point. To be
    called when the workers have met (`make_strategy`): from then on nothing of that
    changes before every worker has taken its first step.

    Args:
        directory: the result's; all workers must see it.
        strategy: as the flag has it; only `multi_worker` knows other workers.

    Raises:
        DataError: another process, of another training, writes there.
    """
    if strategy != "multi_worker" or Worker.from_environment().is_chief:
        with writing(directory):
            yield directory
        return
    with tempfile.TemporaryDirectory(prefix="dc_keras-worker-") as place:
        copy = Path(place) / directory.name
        if directory.exists():
            ignored = shutil.ignore_patterns("tensorboard", ".*", "SHA256SUMS")
            shutil.copytree(directory, copy, ignore=ignored)
        yield copy
