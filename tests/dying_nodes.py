"""Kills a node of a Ray cluster while units of work run on two nodes."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path


class KillWhenBusy(threading.Thread):
    """Kills a node while two units run; notes which tries exist before and afterwards.

    A node takes seconds to die, a unit may take less: both stand still meanwhile.

    Args:
        kill: kills the node.
        tries: returns the names of the temporary files of the units.
        least: the number of tries to wait for.
    """

    def __init__(
        self,
        kill: Callable[[], None],
        tries: Callable[[], set[str]] = set,
        least: int = 0,
    ) -> None:
        super().__init__(daemon=True)
        self._kill, self._tries, self._least = kill, tries, least
        self.has_killed = False
        self.before: set[str] = set()
        self.after: set[str] = set()
        self._is_over = threading.Event()

    def run(self) -> None:
        while not self._is_over.is_set() and not self._hold_two():
            time.sleep(0.01)
        while not self._is_over.is_set():
            self.after |= self._tries() - self.before
            time.sleep(0.01)

    def _hold_two(self) -> bool:
        """Whether two units ran, one of which died with its node."""
        running = _running()
        if len(running) < 2 or len(self._tries()) < self._least:
            return False
        for process in running:
            _signal(process, signal.SIGSTOP)
        try:
            self.before = self._tries()
            # Unless one ended before it stood still.
            if _running() != running or len(self.before) < self._least:
                return False
            self._kill()
            for process, node in running.items():
                if _running().get(process) != node:  # stood still, so did not notice
                    _signal(process, signal.SIGKILL)
                    self.has_killed = True
            return True
        finally:
            for process in running:
                _signal(process, signal.SIGCONT)

    def stop(self) -> None:
        """Ends the watch."""
        self._is_over.set()
        self.join()


def _running() -> dict[int, int]:
    """Returns the processes that work on a unit now, and the node of each."""
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if (directory / "cmdline").read_bytes().startswith(b"ray::_run_unit"):
                after_name = (directory / "stat").read_text().rpartition(")")[2]
                found[int(directory.name)] = int(after_name.split()[1])
        except OSError:  # it ended
            continue
    return found


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)
