"""Making shards on a Ray cluster: the only module that knows Ray (extra `cluster`).

A task is a shard. What travels are the jobs, in Ray's own messages; records do not:
every node reads and writes the same files under the same paths, as the process that
starts the run does. A task whose node or process died is given to another one; what the
dead one left is a temporary file, which the next try removes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError
from tfrecords.progress import ShardEntry
from tfrecords.shard_runs import AnyJob

# For a Ray that is started here, read when it is imported: it reports nothing to its
# makers, and a shard that asks for no GPU sees none.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")

try:
    import ray
except ImportError as error:
    raise DataError(
        "--runner=ray needs Ray: pip install 'dc_keras[cluster]'"
    ) from error

# Nodes that may be taken away at any time are why one runs on many.
_MAX_RETRIES = 5
_KNOCK_S = 10.0


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster, and what a shard takes of it.

    Attributes:
        address: of its head, `host:port`, or "auto" for the one that this machine
            belongs to; None starts one on this machine, for the run alone.
        num_cpus: CPUs of the one that is started; all of the machine if None.
        shard_cpus: CPUs set aside for a shard, above 0.
        shard_gpus: GPUs set aside for a shard.
    """

    address: str | None = None
    num_cpus: int | None = None
    shard_cpus: float = 1.0
    shard_gpus: float = 0.0

    def run(
        self,
        make: Callable[[AnyJob], ShardEntry],
        jobs: Sequence[AnyJob],
        on_done: Callable[[int], object],
    ) -> list[ShardEntry]:
        """Returns what `make` gives for each job, in the order in which they end.

        Raises:
            DataError: as `make`; there is no such cluster, no node of it has what a
                shard takes, or a shard took down each process that it was given to.
        """
        if not jobs:
            return []
        with self._connected():
            self._check_resources()
            task = ray.remote(
                num_cpus=self.shard_cpus,
                num_gpus=self.shard_gpus,
                max_retries=_MAX_RETRIES,
                scheduling_strategy="SPREAD",
            )(_make_shard)
            here = str(Path.cwd())
            posts = {task.remote(make, here, job): job.num_posts for job in jobs}
            entries = []
            for reference in _as_they_end(list(posts)):
                entries.append(_result(reference))
                on_done(posts[reference])
            return entries

    @contextmanager
    def _connected(self) -> Iterator[None]:
        start = (
            {"address": "local", "num_cpus": self.num_cpus, "include_dashboard": False}
            if self.address is None
            else {"address": self.address}
        )
        try:
            _knock(self.address)
            ray.init(**start, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                "--ray_address must be that of a running Ray cluster of this version "
                f"({ray.__version__}); {_first_line(error)}. "
                f"Received: ray_address={self.address}"
            ) from error
        try:
            yield
        finally:
            # Ends the tasks of this run, too, and the cluster if it was started here.
            ray.shutdown()

    def _check_resources(self) -> None:
        """Without this, a run that no node can take would wait for ever."""
        needs = {"CPU": self.shard_cpus, "GPU": self.shard_gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(
            all(node.get(name, 0) >= amount for name, amount in needs.items())
            for node in nodes
        ):
            raise DataError(
                "a node of the cluster must have what a shard takes. Received: "
                f"ray_cpus={self.shard_cpus:g}, ray_gpus={self.shard_gpus:g}"
            )


def _knock(address: str | None) -> None:
    """Raises an `OSError` where nobody answers, which Ray would not do for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), _KNOCK_S).close()


def _make_shard(
    make: Callable[[AnyJob], ShardEntry], directory: str, job: AnyJob
) -> ShardEntry:
    """Runs in a process of a node, from where the run was started."""
    try:
        os.chdir(directory)
    except OSError as error:
        raise DataError(
            "every node must see the files of the run under the same path. "
            f"Received: no {directory} on {os.uname().nodename}"
        ) from error
    return make(job)


def _as_they_end(references: list[Any]) -> Iterator[Any]:
    while references:
        ended, references = ray.wait(references)
        yield from ended


def _result(reference: Any) -> ShardEntry:
    try:
        entry: ShardEntry = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DataError):
            raise DataError(str(error.cause)) from error
        raise
    except ray.exceptions.RayError as error:
        raise DataError(
            f"a shard was given up after {_MAX_RETRIES + 1} tries, each of which ended "
            "its process or its node; out of memory is the usual reason; "
            f"{_first_line(error)}"
        ) from error
    return entry


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
