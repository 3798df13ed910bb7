"""Runs scripts in processes that are forked from one that has imported TensorFlow.

Importing TensorFlow takes a process of its own seconds; the rest is the same.
"""

from __future__ import annotations

import builtins
import io
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from absl import flags

_CHANGES = ("rename", "replace", "unlink", "rmdir")


class PowerCut:
    """Counts the changes of the disk by Python code, and kills the process at one.

    A change is a rename, a replacement or a removal, which is not made, or a file that
    has been opened to be written and is still empty. Changes by compiled libraries are
    not counted.

    Args:
        at: number of the change at which the process kills itself, from 0; None for
            no kill.
    """

    def __init__(self, at: int | None) -> None:
        self.num_changes = 0
        self._at = at

    def install(self) -> None:
        """Counts from now on, to the end of the process."""
        for name in _CHANGES:
            setattr(os, name, self._before(getattr(os, name)))
        builtins.open = io.open = self._after_opening(io.open)

    def _count(self) -> None:
        if self.num_changes == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.num_changes += 1

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self._count()
            return function(*arguments, **options)

        return call

    def _after_opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            opened = function(file, mode, *arguments, **options)
            # A number is a file that somebody else has opened, such as a pipe.
            if "w" in mode and not isinstance(file, int):
                self._count()
            return opened

        return call


def fork_server() -> ForkServerContext:
    """Returns the context of processes that are forked with TensorFlow imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dc_keras.serving.bundle", "sklearn.linear_model", "keras_nlp", "igraph"]
    )
    return context


def write_into(stdout: Path, stderr: Path) -> None:
    """Appends the output of this process, including C++ code, to files."""
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

    The output is appended to the two files.
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
    """The outcome of a script.

    Attributes:
        code: exit code; minus the number of the signal that killed it.
        stderr: its error output.
        num_changes: changes of the disk as `PowerCut` counts them; None if killed.
        seconds: duration by the clock.
    """

    code: int
    stderr: str
    num_changes: int | None
    seconds: float


class ForkedScripts:
    """Starts scripts that write their output and temporary files to one directory."""

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
        """Starts a script, which may wait at a barrier before it begins."""
        place = self._directory / str(next(self._numbers))
        place.mkdir(parents=True)
        process = self._context.Process(
            target=_run, args=(list(command), place, cut_at, barrier)
        )
        process.start()
        return Started(process, place, time.monotonic())


@dataclass(frozen=True)
class Started:
    """A script that runs, the directory of its output, and the time of its start."""

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
