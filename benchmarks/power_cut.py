"""Kills a process at a chosen change of the disk, as a power cut would."""

from __future__ import annotations

import builtins
import io
import os
import signal
from collections.abc import Callable
from typing import Any

_CHANGES = ("rename", "replace", "unlink", "rmdir")


class PowerCut:
    """Counts the changes of the disk that Python code makes, and kills at one of them.

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
