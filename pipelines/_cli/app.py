"""What every script shares: how it starts, what it prints, how it ends in an error.

Scripts print through `say`, `show`, `progress` and `fail` alone: these write out
control characters, which a terminal would obey.
"""

from __future__ import annotations

import logging as standard_logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import app, flags, logging

from dc_keras.escaping import escape_controls
from pipelines._cli import checked_flags, quiet_tensorflow
from pipelines._cli.system_errors import told_of_system

# Here and not in `run`, so that it holds for worker processes, too: they import the
# script that started them, and TensorFlow with the first function that they are given.
quiet_tensorflow.install()


flags.disclaim_key_flags()


def run(
    main: Callable[[], int | None],
    *,
    writes: str | None = None,
    kind: str | None = None,
    locks: bool = True,
) -> None:
    """Runs a script's `main` under absl.

    `main` takes no arguments and returns None or an exit code. A `DataError` and what
    the system refuses, such as a missing file or a full disk, end in one line on stderr
    and exit code 1; Ctrl-C in one line and exit code 130. Anything else keeps its
    traceback.

    Args:
        main: of the script.
        writes: the flag of the directory that it writes, which must not hold an
            artifact of another kind.
        kind: of the artifact there, as `forgetting.artifacts` has it; None for a
            directory that is none.
        locks: whether no other process may write there meanwhile.
    """
    # In here, so that the flag is one of the script's.
    flags.DEFINE_bool(
        "verify",
        True,
        "Compares the files of artifacts with their checksums when opened.",
    )
    app.run(lambda argv: _guarded(main, argv, writes, kind, locks=locks))


def _guarded(
    main: Callable[[], int | None],
    argv: list[str],
    writes: str | None,
    kind: str | None,
    *,
    locks: bool,
) -> int | None:
    from dc_keras.errors import DataError
    from tfrecords.storage.locking import writing

    misuse = checked_flags.find_misuse(argv)
    if misuse is not None:
        return fail(misuse, 2)
    _set_up()
    try:
        places = [] if writes is None else [Path(str(flags.FLAGS[writes].value))]
        for place in places:
            _require_kind(place, str(writes), kind)
        with _temporary_files_removed(), writing(*(places if locks else [])):
            return main()
    except DataError as error:
        return fail(str(error), 1)
    except KeyboardInterrupt:
        return fail("stopped; run the same command to go on", 130)
    except Exception as error:
        told = told_of_system(error)
        if told is None:
            raise
        return fail(told, 1)


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


def _set_up() -> None:
    from tfrecords.storage import integrity

    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    if "verify" in flags.FLAGS and not flags.FLAGS["verify"].value:
        integrity.trust_everything()
    # A line as it is: absl's handler would put date and place before it.
    log = standard_logging.getLogger("dc_keras")
    log.propagate = False
    log.handlers = [standard_logging.StreamHandler()]


def _require_kind(place: Path, flag: str, kind: str | None) -> None:
    """Refuses to write over an artifact of another kind."""
    from dc_keras.errors import DataError

    if not place.is_dir() or not any(place.iterdir()):
        return
    from dc_keras.privacy.artifacts import find_kind

    found = find_kind(place)
    if found not in (None, kind):
        raise DataError(
            f"--{flag} must be a directory of its own: {place} holds another artifact, "
            f"of kind {found}, which would be destroyed. Received: {flag}={place}"
        )


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
