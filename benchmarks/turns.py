"""Runs that take turns, so that a busy minute slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def interleaved(
    *runs: Callable[[], object],
    num_rounds: int,
    num_warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Returns the median seconds of each run.

    Args:
        *runs: what is measured, one after another in each round.
        num_rounds: rounds that count.
        num_warm_up: rounds before them that do not.
        clock: `time.process_time` for the seconds of the processor.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(num_warm_up + num_rounds):
        for run, measured in zip(runs, seconds, strict=True):
            start = clock()
            run()
            if number >= num_warm_up:
                measured.append(clock() - start)
    return [statistics.median(measured) for measured in seconds]
