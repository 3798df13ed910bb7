"""Interleaved timing, so that other load on the machine affects all runs equally."""

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
        *runs: Functions to measure, which run one after another in each round.
        num_rounds: Number of measured rounds.
        num_warm_up: Number of rounds before the measured ones.
        clock: Clock to use; `time.process_time` measures CPU seconds.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(num_warm_up + num_rounds):
        for run, measured in zip(runs, seconds, strict=True):
            start = clock()
            run()
            if number >= num_warm_up:
                measured.append(clock() - start)
    return [statistics.median(measured) for measured in seconds]
