"""What runs in a script's own process: see the fixture `run_script`.

It is no part of conftest.py, because that has no name in another process: packages that
install a top-level `tests`, TikTokApi for one, come before this directory.
"""

import os
import runpy
import sys
from pathlib import Path


def become_script(
    name: str, flags: tuple[str, ...], cwd: Path, stdout: Path, stderr: Path
) -> None:
    """Becomes the script: its argv, its directory, its output."""
    os.chdir(cwd)
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.argv = [name, *flags]
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)
