"""Timing in turns, so that other load affects all runs equally; own processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def interleaved(
    *runs: Callable[[], object],
    num_rounds: int,
    num_warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Returns the median seconds of runs that follow each other in each round.

    With `time.process_time` as the clock, they are seconds of CPU.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(num_warm_up + num_rounds):
        for run, measured in zip(runs, seconds, strict=True):
            start = clock()
            run()
            if number >= num_warm_up:
                measured.append(clock() - start)
    return [statistics.median(measured) for measured in seconds]


def own_memory(name: str = "VmHWM") -> float:
    """Returns a figure of /proc/self/status in MiB: the peak, or `VmRSS` for now.

    Unlike the peak of getrusage, it excludes what a parent process has used.
    """
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


def run_alone(
    code: str, *arguments: object, environment: Mapping[str, str] = os.environ
) -> list[float]:
    """Runs Python code in a process of its own; returns the numbers that it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return [float(number) for number in done.stdout.split()]
