"""Runs units of work in this process, in local processes or on a Ray cluster.

A process that works on units uses one thread of TensorFlow, BLAS and OpenMP each: sums
are then added in the same order, so that any number of workers and machines of the same
kind gives the same bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Generator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from tfrecords.errors import DataError
from tfrecords.memory import keep_freed_memory

if TYPE_CHECKING:
    from tfrecords.ray_runner import RayCluster

Unit = TypeVar("Unit")
Result = TypeVar("Result")

# TensorFlow reads these with its first operation, the others when they are loaded.
_THREADS = (
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
)


def run_units(
    work: Callable[[Unit], Result],
    units: Collection[Unit],
    kind: str,
    *,
    workers: int = 1,
    cluster: RayCluster | None = None,
) -> Generator[tuple[Unit, Result], None, None]:
    """Yields each unit and its result, in the order of completion.

    Close the generator to end the run early. With several workers or a cluster, `work`
    and the units are pickled, and `work` is sent to each process once. One worker is
    this process, whose threads only `use_one_thread` limits. `kind` is what a unit is,
    such as "fold", for messages.

    Raises:
        DataError: As `work`; a worker process died, or the cluster cannot be used.
    """
    workers = min(workers, len(units))
    if cluster is not None:
        yield from cluster.run(partial(_run_alone, work), units, kind)
    elif workers > 1:
        yield from _run_in_processes(work, units, workers)
    else:
        for unit in units:
            yield unit, work(unit)


def use_one_thread() -> None:
    """Limits this process to one thread of each library, and keeps freed memory.

    Call it before the first operation of TensorFlow.
    """
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    threadpool_limits(1)
    keep_freed_memory()


def _run_alone(work: Callable[[Unit], Result], unit: Unit) -> Result:
    use_one_thread()
    return work(unit)


def _run_in_processes(
    work: Callable[[Unit], Result], units: Collection[Unit], workers: int
) -> Generator[tuple[Unit, Result], None, None]:
    # TensorFlow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(work, stop)
    ) as pool:
        try:
            futures = {pool.submit(_run_in_worker, unit): unit for unit in units}
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a worker process died, probably because memory ran out; run the same "
                f"command with fewer workers. Received: workers={workers}"
            ) from error
        except BaseException:
            stop.set()
            raise


# The work of this worker process, set when it starts.
_shared: dict[str, Callable[[Any], Any]] = {}


def _start_worker(work: Callable[[Any], Any], stop: Any) -> None:
    use_one_thread()
    # Ctrl-C reaches every process of the terminal; the main process stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Its default lock is a semaphore, of which a killed process leaves a warning.
    tqdm.set_lock(threading.RLock())
    parent = multiprocessing.parent_process()
    for wait in (stop.wait, parent.join if parent else stop.wait):
        threading.Thread(target=_exit_after, args=(wait,), daemon=True).start()
    _shared["work"] = work


def _exit_after(wait: Callable[[], object]) -> None:
    """Ends the process after an event; an unfinished unit is discarded."""
    wait()
    os._exit(1)


def _run_in_worker(unit: Any) -> Any:
    return _shared["work"](unit)
