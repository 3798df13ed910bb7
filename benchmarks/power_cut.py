"""Runs a script whose process is killed at its n-th change of a name on disk.

python -m benchmarks.power_cut NUMBER SCRIPT --flags
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any


def cut_power_at(number: int) -> None:
    """Makes this process kill itself, as a power cut would.

    Args:
        number: of the rename, replacement or removal that is not made, from 0.
    """
    left = iter(range(number))

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))


if __name__ == "__main__":
    cut_power_at(int(sys.argv[1]))
    script, sys.argv = sys.argv[2], sys.argv[2:]
    runpy.run_module(f"pipelines.{script}", run_name="__main__", alter_sys=True)
