"""Processes of their own for scripts and trainings: see the fixture `run_script`.

It is no part of conftest.py, because that has no name in another process: packages that
install a top-level `tests`, TikTokApi for one, come before this directory.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from multiprocessing.context import ForkServerContext
from pathlib import Path

from benchmarks.power_cut import cut_power_at


def fork_server() -> ForkServerContext:
    """Forks processes from one that has imported TensorFlow, and done no more.

    A start of its own takes a process seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dc_keras.serving.bundle", "sklearn.linear_model", "keras_nlp", "igraph"]
    )
    return context


def write_into(stdout: Path, stderr: Path) -> None:
    """Sends what this process says to the end of files, even what C++ says."""
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream.fileno())


def become_script(
    name: str,
    flags: tuple[str, ...],
    cwd: Path,
    temporary: Path,
    stdout: Path,
    stderr: Path,
    kill_at: int | None = None,
) -> None:
    """Becomes the script: its argv, its directories, its output."""
    os.chdir(cwd)
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)
    sys.path.insert(0, str(cwd))
    write_into(stdout, stderr)
    if kill_at is not None:
        cut_power_at(kill_at)
    sys.argv = [name, *flags]
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)
