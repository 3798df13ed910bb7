"""What every script shares: how it starts, what it prints, how it ends in an error.

Scripts print through `say`, `show`, `progress` and `fail` alone: these write out
control characters, which a terminal would obey.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import app, flags, logging

from dc_keras.escaping import escape_controls
from pipelines import quiet_tensorflow

# Here and not in `run`, so that it holds for worker processes, too: they import the
# script that started them, and TensorFlow with the first function that they are given.
quiet_tensorflow.install()


def run(main: Callable[[], int | None], *, writes: str | None = None) -> None:
    """Runs a script's `main` under absl.

    `main` takes no arguments and returns None or an exit code. A `DataError`, a missing
    file or a refused directory ends in one line on stderr and exit code 1; Ctrl-C in
    one line and exit code 130. Anything else keeps its traceback.

    Args:
        main: of the script.
        writes: the flag of the directory that no other process may write meanwhile.
    """
    app.run(lambda argv: _guarded(main, argv, writes))


def _guarded(
    main: Callable[[], int | None], argv: list[str], writes: str | None
) -> int | None:
    from dc_keras.errors import DataError
    from dc_keras.locking import writing

    if len(argv) > 1:
        return fail(f"unexpected argument {argv[1]!r}; every option is a --flag", 2)
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    try:
        places = [] if writes is None else [Path(str(flags.FLAGS[writes].value))]
        with _temporary_files_removed(), writing(*places):
            return main()
    except DataError as error:
        return fail(str(error), 1)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        return fail(_one_line(error), 1)
    except KeyboardInterrupt:
        return fail("stopped; run the same command to go on", 130)


@contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Gives this process a temporary directory of its own, and removes it at the end.

    Libraries and browsers leave files there, and so do processes that are killed.
    """
    import tempfile

    before = os.environ.get("TMPDIR"), tempfile.tempdir
    # Sockets lie in there too, whose paths have 107 characters at most.
    with tempfile.TemporaryDirectory(
        prefix="dc-", ignore_cleanup_errors=True
    ) as directory:
        os.environ["TMPDIR"] = tempfile.tempdir = directory
        try:
            yield
        finally:
            variable, tempfile.tempdir = before
            if variable is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = variable


def _one_line(error: OSError) -> str:
    """Returns where and what, without the number that the system gives it."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror.lower()}"


@contextmanager
def needing_report() -> Iterator[None]:
    """Says in one line what an import inside it lacks: the extra `report`.

    Raises:
        DataError: it is not installed.
    """
    from dc_keras.errors import DataError

    try:
        yield
    except ImportError as error:
        raise DataError(
            "the page needs the extra `report`: pip install 'dc_keras[report]'. "
            f"Received: {error}"
        ) from error


def fail(message: str, code: int) -> int:
    """Prints an error in one line on stderr and returns the exit code, 2 for usage."""
    sys.stdout.flush()
    line = escape_controls(message)
    sys.stderr.write(f"{Path(sys.argv[0]).stem}: error: {line}\n")
    return code


def say(text: str = "") -> None:
    """Prints one line of a script's result on stdout."""
    show(escape_controls(text))


def show(text: str) -> None:
    """Prints several lines on stdout; names in them must not hold line ends."""
    sys.stdout.write(escape_controls(text, keep="\n") + "\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    """Prints one line on stderr, for what is under way."""
    sys.stderr.write(f"{escape_controls(text)}\n")
    sys.stderr.flush()
