"""Processes of their own for scripts: see the fixture `run_script`.

It is no part of conftest.py, because that has no name in another process: packages that
install a top-level `tests`, TikTokApi for one, come before this directory.
"""

import os
import sys
from pathlib import Path

from benchmarks.forked_scripts import PowerCut, become_script


def become_script_in(
    cwd: Path,
    command: tuple[str, ...],
    temporary: Path,
    stdout: Path,
    stderr: Path,
    kill_at: int | None = None,
) -> None:
    """Becomes a script that runs in another directory: see `become_script`."""
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    cut = None if kill_at is None else PowerCut(kill_at)
    become_script(command, temporary, stdout, stderr, cut)
