"""Runs commands in processes that are forked from one that has imported TensorFlow.

A command spends seconds on importing TensorFlow. Whoever runs many of them one after
another, as the demo does, makes one server, and each command starts at once. Each
command still has a process, flags and a memory of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

_IMPORTED_FIRST = (
    "pipelines._cli.app",  # before TensorFlow, whose messages it hides
    "dc_keras.serving.bundle",
    "keras_nlp",
    "sklearn.linear_model",
)


class CommandServer:
    """Starts commands; their working directory and environment are those of now."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(_IMPORTED_FIRST))

    def run(self, name: str, arguments: Sequence[str], log: Path) -> int:
        """Runs a command to its end.

        Args:
            name: of the command, such as `predict`.
            arguments: its flags.
            log: file for what it prints on stdout and stderr; replaced.

        Returns:
            Its exit code; below 0 the signal that ended it.
        """
        process = self._context.Process(
            target=_become, args=(name, list(arguments), str(log))
        )
        process.start()
        process.join()
        return process.exitcode or 0


def _become(name: str, arguments: list[str], log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(descriptor, number)
    # The main module is imported here too, and its flags may have the same names.
    for flag in flags.FLAGS.get_flags_for_module("__mp_main__"):
        delattr(flags.FLAGS, flag.name)
    sys.argv = [name, *arguments]
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)
