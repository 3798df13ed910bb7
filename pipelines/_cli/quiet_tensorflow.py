"""Imports TensorFlow faster, hides its start-up messages, and shows its errors.

`TF_CPP_MIN_LOG_LEVEL` has no effect on messages before absl's logging is initialised,
and TensorFlow logs some harmless messages as errors. From the import of TensorFlow on,
C's stream `stderr` is therefore a pipe to a process that runs this file: it drops the
known messages and forwards everything else immediately. It is a process and not a
thread, so that the message of a fatal error is shown although TensorFlow aborts. If the
import fails, the dropped messages are shown as well.

Python's `sys.stderr` and file descriptor 2 are not changed.

TensorFlow imports Keras at its end, and Keras imports scikit-learn and Matplotlib. With
the searches of Python's garbage collector, this is more than half of the time of the
import. Both are left out here; modules that use Keras import it themselves.
"""

from __future__ import annotations

import atexit
import gc
import importlib.abc
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

# Errors only.
_LEVEL = "2"
_IMPORTED = b"\0TensorFlow is imported\n"
_UNBUFFERED = 2  # _IONBF of stdio.h
# TensorFlow imports this module and ignores that it cannot be imported.
_KERAS = "keras.src.optimizers"
# "2026-11-29 07:01:13.9: I tensorflow/core/util/port.cc:153] oneDNN ..." or
# "I0000 00:00:1795935673.9    7006 port.cc:153] oneDNN ...": information and warnings.
_MINOR = re.compile(
    rb"\d{4}-\d\d-\d\d [\d:.]+: [IW] \S+:\d+\] |[IW]\d{4} [\d:.]+ +\d+ "
)
# Messages without a severity, and errors that do not indicate a problem.
_HARMLESS = re.compile(
    rb"^WARNING: All log messages before absl::InitializeLog\(\) "
    rb"|^To enable the following instructions: "
    rb"|^Skipping registering GPU devices"
    # Plugins are linked twice.
    rb"|Unable to register cu(FFT|DNN|BLAS) factory"
    # 303 means that libcuda is not installed.
    rb"|failed call to cuInit: .*(UNKNOWN ERROR \(303\)|CUDA_ERROR_NO_DEVICE)"
    # TensorFlow uses its own kernel instead.
    rb"|oneDNN supports \w+ only on platforms with"
)


def install() -> None:
    """Speeds up the next import of TensorFlow in this process, and hides its messages.

    If the environment sets `TF_CPP_MIN_LOG_LEVEL`, no message of that level is hidden.
    """
    is_chosen = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _LEVEL) != _LEVEL
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(
            0, _TensorFlowFinder(_load if is_chosen else _load_quietly)
        )


class _TensorFlowFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as usual, and lets `load` call the function of its loader."""

    def __init__(
        self, load: Callable[[Callable[[ModuleType], None], ModuleType], None]
    ) -> None:
        self._load = load

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            # Patched, not replaced, because the loader also reads resources.
            load = partial(self._load, spec.loader.exec_module)
            vars(spec.loader)["exec_module"] = load
        return spec


def _load(load: Callable[[ModuleType], None], module: ModuleType) -> None:
    # Not at the top: this file also runs alone, as the filter of messages.
    from tfrecords.memory import without_garbage_collection

    with _without_keras(), without_garbage_collection():
        load(module)
        gc.freeze()  # excludes all of it from later searches


@contextmanager
def _without_keras() -> Iterator[None]:
    modules: dict[str, Any] = sys.modules
    if _KERAS in modules:
        yield
        return
    modules[_KERAS] = None
    try:
        yield
    finally:
        del modules[_KERAS]


def _load_quietly(load: Callable[[ModuleType], None], module: ModuleType) -> None:
    sink = _filter_c_stderr()
    if sink is None:
        _load(load, module)
        return
    try:
        _load(load, module)
    except BaseException:
        os.dup2(2, sink)
        raise
    os.write(sink, _IMPORTED)


def _filter_c_stderr() -> int | None:
    """Replaces C's stream `stderr` by a pipe to a process that runs this file.

    Returns:
        The file descriptor of the stream; duplicating descriptor 2 onto it ends the
        filter, as does the exit of this process. None if C's stream is not accessible;
        nothing is filtered then.
    """
    import ctypes
    import subprocess

    library: Any = ctypes.CDLL(None) if os.name == "posix" else None
    name = "__stderrp" if sys.platform == "darwin" else "stderr"
    if sys.stderr is None or not hasattr(library, name):
        return None
    source, sink = os.pipe()
    # In a new session, so that Ctrl-C does not end it before this process.
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    messages = subprocess.Popen(command, stdin=source, start_new_session=True)
    os.close(source)

    library.fdopen.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(library.fdopen(sink, b"w"))
    library.setvbuf(stream, None, _UNBUFFERED, 0)
    ctypes.c_void_p.in_dll(library, name).value = stream.value

    def stop() -> None:
        # The stream stays open, because threads of TensorFlow may still write to it.
        os.dup2(2, sink)
        messages.wait()

    atexit.register(stop)
    return sink


def pass_on(messages: BinaryIO, stderr: BinaryIO) -> None:
    """Forwards lines immediately, except for the known messages.

    Known messages are kept until TensorFlow is imported, and shown if it never is.
    """
    is_imported = False
    held: list[bytes] = []
    for line in messages:
        if line == _IMPORTED:
            is_imported = True
            held.clear()
        elif not (_MINOR.match(line) or _HARMLESS.search(line)):
            stderr.write(line)
            stderr.flush()
        elif not is_imported:
            held.append(line)
    stderr.writelines(held)
    stderr.flush()


if __name__ == "__main__":
    pass_on(sys.stdin.buffer, sys.stderr.buffer)
