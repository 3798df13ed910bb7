"""Runs scripts in processes that are forked from one that has imported TensorFlow.

Importing TensorFlow takes a process of its own seconds; the rest is the same.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

from absl import flags

from benchmarks.power_cut import PowerCut


def fork_server() -> ForkServerContext:
    """Returns what starts processes from one that has imported TensorFlow alone."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dc_keras.serving.bundle", "sklearn.linear_model", "keras_nlp", "igraph"]
    )
    return context


def write_into(stdout: Path, stderr: Path) -> None:
    """Appends the output of this process to files, that of C++ code too."""
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream.fileno())


def become_script(
    command: Sequence[str],
    temporary: Path,
    stdout: Path,
    stderr: Path,
    cut: PowerCut | None = None,
) -> None:
    """Turns this process into `python -m pipelines.NAME FLAG …`.

    Args:
        command: name of the script, and its flags.
        temporary: directory for temporary files.
        stdout: file that the output is appended to.
        stderr: file that errors are appended to.
        cut: at which change of the disk the process is killed, if at any.
    """
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    write_into(stdout, stderr)
    # The main module is imported here too, and its flags may have the same names.
    for flag in flags.FLAGS.get_flags_for_module("__mp_main__"):
        delattr(flags.FLAGS, flag.name)
    if cut is not None:
        cut.install()
    sys.argv = list(command)
    runpy.run_module(f"pipelines.{command[0]}", run_name="__main__", alter_sys=True)


@dataclass(frozen=True)
class Ended:
    """How a script ended.

    Attributes:
        code: exit code; minus the number of the signal that killed it.
        stderr: what it wrote there.
        num_changes: changes of the disk as `PowerCut` counts them; None for a script
            that was killed.
        seconds: how long it took, by the clock.
    """

    code: int
    stderr: str
    num_changes: int | None
    seconds: float


class ForkedScripts:
    """Starts scripts whose output and temporary files lie in one directory.

    Args:
        directory: made where it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = count()
        self._context = fork_server()

    def run(self, command: Sequence[str], *, cut_at: int | None = None) -> Ended:
        """Runs a script to its end, or to the change of the disk that kills it."""
        return self.start(command, cut_at=cut_at).wait()

    def run_together(self, command: Sequence[str], number: int) -> list[Ended]:
        """Starts a script several times at the same moment."""
        barrier = self._context.Barrier(number)
        started = [self.start(command, barrier=barrier) for _ in range(number)]
        return [script.wait() for script in started]

    def start(
        self,
        command: Sequence[str],
        *,
        cut_at: int | None = None,
        barrier: Barrier | None = None,
    ) -> Started:
        """Starts a script.

        Args:
            command: name of the script, and its flags.
            cut_at: number of the change of the disk at which it is killed.
            barrier: where it waits for others before it begins.
        """
        place = self._directory / str(next(self._numbers))
        place.mkdir(parents=True)
        process = self._context.Process(
            target=_run, args=(list(command), place, cut_at, barrier)
        )
        process.start()
        return Started(process, place, time.monotonic())


@dataclass(frozen=True)
class Started:
    """A script that runs.

    Attributes:
        process: its process.
        directory: holds what it writes beside its results.
        start: when it was started, by the monotonic clock.
    """

    process: ForkServerProcess
    directory: Path
    start: float

    def wait(self) -> Ended:
        """Waits for its end."""
        self.process.join()
        seconds = time.monotonic() - self.start
        code = self.process.exitcode
        if code is None:
            raise RuntimeError("the process has not ended")
        changes, stderr = None, ""
        # A process that was killed early has written neither.
        with suppress(FileNotFoundError):
            stderr = (self.directory / "stderr").read_text("utf-8", "replace")
            changes = int((self.directory / "changes").read_text("utf-8"))
        return Ended(code, stderr, changes, seconds)

    def kill_after(self, seconds: float) -> Ended:
        """Kills it after some time, unless it has ended by then."""
        self.process.join(seconds)
        self.process.kill()
        return self.wait()


def _run(
    command: list[str], place: Path, cut_at: int | None, barrier: Barrier | None
) -> None:
    cut = PowerCut(cut_at)
    if barrier is not None:
        barrier.wait()
    try:
        become_script(command, place, place / "stdout", place / "stderr", cut)
    finally:
        (place / "changes").write_text(f"{cut.num_changes}", "utf-8")
