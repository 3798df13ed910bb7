"""Runs units of work, such as shards or folds, on a Ray cluster (extra `cluster`).

All nodes read and write the same files under the same paths as the process that starts
the run, so that units write their output to files and return little. Ray retries a unit
whose process or node died; the retry must replace what the first try left.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tfrecords.errors import DataError

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

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RayCluster:
    """A Ray cluster and the resources of a unit of work.

    Attributes:
        address: Address of the head node, `host:port`, or "auto" for the cluster of
            this machine; None starts a cluster on this machine for the run.
        num_cpus: Number of CPUs of a started cluster; None for all of the machine.
        unit_cpus: Number of CPUs reserved per unit, above 0.
        unit_gpus: Number of GPUs reserved per unit.
    """

    address: str | None = None
    num_cpus: int | None = None
    unit_cpus: float = 1.0
    unit_gpus: float = 0.0

    def run(
        self, work: Callable[[Unit], Result], units: Collection[Unit], kind: str
    ) -> Generator[tuple[Unit, Result], None, None]:
        """Yields each unit and its result, in the order of completion.

        Close the iterator to end the run early.

        Args:
            work: Picklable function. It is sent to each node once, so that it may be a
                `partial` with large arrays, which are read-only there.
            units: Picklable arguments of `work`.
            kind: What a unit is, such as "shard", for messages.

        Raises:
            DataError: As `work`; the cluster cannot be reached, no node has the
                resources of a unit, or a unit failed in all retries.
        """
        if not units:
            return
        with self._connected():
            self._check_resources(kind)
            task = ray.remote(
                num_cpus=self.unit_cpus,
                num_gpus=self.unit_gpus,
                max_retries=_MAX_RETRIES,
                scheduling_strategy="SPREAD",
            )(_run_unit)
            here, shared = str(Path.cwd()), ray.put(work)
            unit_of = {task.remote(shared, here, unit): unit for unit in units}
            while unit_of:
                [reference], _ = ray.wait(list(unit_of))
                # Removed, so that Ray frees the result.
                yield unit_of.pop(reference), _result(reference, kind)

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

    def _check_resources(self, kind: str) -> None:
        """Raises an error if no node has enough resources; Ray would wait for ever."""
        needs = {"CPU": self.unit_cpus, "GPU": self.unit_gpus}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(
            all(node.get(name, 0) >= amount for name, amount in needs.items())
            for node in nodes
        ):
            raise DataError(
                f"a node of the cluster must have the resources of a {kind}. Received: "
                f"ray_cpus={self.unit_cpus:g}, ray_gpus={self.unit_gpus:g}"
            )


def _require_reachable(address: str | None) -> None:
    """Raises an `OSError` for an unreachable address; Ray would retry for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()


def _run_unit(work: Callable[[Unit], Result], directory: str, unit: Unit) -> Result:
    try:
        os.chdir(directory)
    except OSError as error:
        raise DataError(
            "each node must have the files of the run under the same path. "
            f"Received: no {directory} on {os.uname().nodename}"
        ) from error
    return work(unit)


def _result(reference: Any, kind: str) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, DataError):
            raise DataError(str(error.cause)) from error
        raise
    except ray.exceptions.RayError as error:
        raise DataError(
            f"a {kind} failed in {_MAX_RETRIES + 1} tries, each of which ended its "
            "process or its node, usually for lack of memory; "
            f"{_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
