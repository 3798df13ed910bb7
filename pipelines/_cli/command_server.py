"""Runs commands in processes that are forked from one that has imported TensorFlow.

A command spends seconds on importing TensorFlow. Whoever runs many of them one after
another, as the demo does, starts one server, and each command starts at once:

    with CommandServer() as server:
        code = server.run("predict", ["--bundle=…"], Path("logs/predict.txt"))

Each command still has a process, flags and a memory of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_IMPORTED_FIRST = (
    "pipelines._cli.app",  # before TensorFlow, whose messages it hides
    "dc_keras.serving.bundle",
    "keras_nlp",
    "sklearn.linear_model",
)


class CommandServer:
    """A process that starts commands.

    The current working directory and the environment are those of its start.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        # The end of its input ends it, and Ctrl-C has reached it already.
        self._process.communicate()

    def run(self, name: str, arguments: Sequence[str], log: Path) -> int:
        """Runs a command to its end, and returns its exit code.

        A code below 0 is the signal that ended it. `log` receives what it prints.
        """
        request = json.dumps([name, list(arguments), str(log)])
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # never: both are pipes
            raise RuntimeError("the server has no pipes")
        stdin.write(request + "\n")
        stdin.flush()
        answer = stdout.readline()
        return int(answer) if answer else 1


def _serve() -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED_FIRST))
    answers = os.fdopen(os.dup(1), "w")
    # Only answers go to the pipe.
    os.dup2(2, 1)
    for line in sys.stdin:
        process = context.Process(target=_become, args=json.loads(line))
        process.start()
        process.join()
        answers.write(f"{process.exitcode}\n")
        answers.flush()


def _become(name: str, arguments: list[str], log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number in (1, 2):
        os.dup2(descriptor, number)
    sys.argv = [name, *arguments]
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
