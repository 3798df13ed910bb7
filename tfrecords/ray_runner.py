"""Writes shards on a Ray cluster (extra `cluster`).

A task writes one shard. Only the jobs are sent through Ray, and no records: all nodes
read and write the same files under the same paths as the process that starts the run.
Ray retries a task whose process or node died, and the retry removes its temporary file.
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

# Ray reads these when it is imported: no usage statistics, and no visible GPU for tasks
# that request none.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")

try:
    import ray
except ImportError as error:
    raise DataError(
        "--runner=ray needs Ray: pip install 'dc_keras[cluster]'"
    ) from error

# Preemptible nodes may disappear at any time.
_MAX_RETRIES = 5
_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster and the resources of a shard.

    Attributes:
        address: Address of the head node, `host:port`, or "auto" for the cluster of
            this machine; None starts a cluster on this machine for the run.
        num_cpus: Number of CPUs of a started cluster; None for all of the machine.
        shard_cpus: Number of CPUs reserved per shard, above 0.
        shard_gpus: Number of GPUs reserved per shard.
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
        """Returns the results of `make` for all jobs, in the order of completion.

        Raises:
            DataError: As `make`; the cluster cannot be reached, no node has the
                resources of a shard, or a shard failed in all retries.
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
            _require_reachable(self.address)
            ray.init(**start, log_to_driver=False, logging_level="ERROR")
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                "--ray_address must be of a running Ray cluster with this version "
                f"({ray.__version__}); {_first_line(error)}. "
                f"Received: ray_address={self.address}"
            ) from error
        try:
            yield
        finally:
            # Also ends the tasks of this run, and a cluster that was started here.
            ray.shutdown()

    def _check_resources(self) -> None:
        """Raises an error if no node has enough resources; Ray would wait for ever."""
        needs = {"CPU": self.shard_cpus, "GPU": self.shard_gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(
            all(node.get(name, 0) >= amount for name, amount in needs.items())
            for node in nodes
        ):
            raise DataError(
                "a node of the cluster must have the resources of a shard. Received: "
                f"ray_cpus={self.shard_cpus:g}, ray_gpus={self.shard_gpus:g}"
            )


def _require_reachable(address: str | None) -> None:
    """Raises an `OSError` for an unreachable address; Ray would retry for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()


def _make_shard(
    make: Callable[[AnyJob], ShardEntry], directory: str, job: AnyJob
) -> ShardEntry:
    """Runs `make` in a process of a node, in the working directory of the run."""
    try:
        os.chdir(directory)
    except OSError as error:
        raise DataError(
            "each node must have the files of the run under the same path. "
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
            f"a shard failed in {_MAX_RETRIES + 1} tries, each of which ended its "
            "process or its node, usually for lack of memory; "
            f"{_first_line(error)}"
        ) from error
    return entry


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
