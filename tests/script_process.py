"""What runs in a script's own process: see the fixture `run_script`.

It is no part of conftest.py, because that has no name in another process: packages that
install a top-level `tests`, TikTokApi for one, come before this directory.
"""

import os
import runpy
import signal
import sys
from pathlib import Path


def become_script(
    name: str,
    flags: tuple[str, ...],
    cwd: Path,
    stdout: Path,
    stderr: Path,
    kill_at: int | None = None,
) -> None:
    """Becomes the script: its argv, its directory, its output."""
    os.chdir(cwd)
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    if kill_at is not None:
        _be_killed(kill_at)
    sys.argv = [name, *flags]
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)


def _be_killed(number: int) -> None:
    """Ends this process, as a power cut would, at the number-th change of a name."""
    left = iter(range(number))

    def counted(function):
        def call(*arguments, **options):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
