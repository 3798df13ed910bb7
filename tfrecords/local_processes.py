"""Runs units of work in processes of this machine, as `RayCluster` on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from tfrecords.errors import DataError

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(frozen=True)
class LocalProcesses:
    """Processes of this machine.

    Attributes:
        workers: number of processes, at least 1.
    """

    workers: int

    def run(
        self, work: Callable[[Unit], Result], units: Collection[Unit], kind: str
    ) -> Iterator[tuple[Unit, Result]]:
        """Yields each unit and its result, in the order of completion.

        The processes end when the iterator is closed, and when this process dies.

        Args:
            work: picklable function.
            units: picklable arguments of `work`.
            kind: what a unit is, such as "shard", for messages.

        Raises:
            DataError: as `work`, or a process died.
        """
        if not units:
            return
        # Threads, such as those of polars, do not survive a fork.
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        with ProcessPoolExecutor(
            min(self.workers, len(units)),
            context,
            initializer=_start_worker,
            initargs=(stop,),
        ) as pool:
            unit_of = {pool.submit(work, unit): unit for unit in units}
            try:
                for future in as_completed(unit_of):
                    result = future.result()
                    yield unit_of.pop(future), result
            except BrokenProcessPool as error:
                raise DataError(
                    f"a process that worked on a {kind} died, probably because memory "
                    f"ran out; use fewer. Received: workers={self.workers}"
                ) from error
            finally:
                if unit_of:  # an error, or the iterator was closed early
                    stop.set()


def _start_worker(stop: Any) -> None:
    # Ctrl-C reaches every process of the terminal; the main process stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    for wait in (stop.wait, parent.join if parent else stop.wait):
        threading.Thread(target=_exit_after, args=(wait,), daemon=True).start()


def _exit_after(wait: Callable[[], object]) -> None:
    wait()
    os._exit(1)
