"""Start-up, output and error handling of all scripts.

Scripts print only through `say`, `show`, `progress`, `suggest` and `fail`. These escape
control characters, which a terminal would otherwise interpret. Results go to stdout,
everything else to stderr. Loops that take long have a bar of tqdm with `disable=None`,
which is shown on terminals only.
"""

from __future__ import annotations

import logging as standard_logging
import math
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TextIO

from absl import app, flags, logging

from dc_keras.errors import DataError
from dc_keras.escaping import escape_controls
from pipelines._cli import quiet_tensorflow

# Not in `run`, because worker processes need it too: they import the script that
# started them, and then TensorFlow with their first task.
quiet_tensorflow.install()
# Otherwise, oneDNN keeps the memory of large tensors until the process ends.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")

flags.disclaim_key_flags()

# Prefix of temporary directories, and the file that a running process locks in its own.
_TEMPORARY, _RUNNING = "dc-", ".running"
_NEW_SECONDS = 60.0
_MISSING = re.compile(
    r"flag --(\w+)=None: Flag --\1 must have a value other than None\."
)
# Messages of system errors inside the errors of libraries in Rust and C++.
_IN_TEXT = re.compile(
    r"No space left on device|Read-only file system|Permission denied|Not a directory|"
    r"Is a directory|File name too long|No such file or directory|"
    r"Too many levels of symbolic links|Disk quota exceeded|Input/output error|"
    r"File too large|Too many open files"
)
# Python's stand-ins for bytes that are not UTF-8.
_SURROGATE = re.compile(r"[\ud800-\udfff]").search
_LIBRARIES = ("tensorflow", "polars", "pyarrow", "zipfile", "absl", "numpy", "h5py")


def run(
    main: Callable[[], int | None],
    *,
    writes: str | None = None,
    kind: str | None = None,
    locks: bool = True,
) -> None:
    """Runs a script's `main` under absl.

    A `DataError` or an error of the system, such as a missing file or a full disk, ends
    in one line on stderr and exit code 1; Ctrl-C ends in one line and exit code 130.
    All other errors keep their traceback.

    Args:
        main: Function without arguments that returns None or an exit code.
        writes: Name of the flag of the output directory. The script fails if the
            directory contains an artifact of another kind. None for no such check.
        kind: Kind of the artifact that the script writes, as in `privacy.artifacts`;
            None if the output is not an artifact.
        locks: Whether to lock the output directory against other processes.
    """
    # Defined in this function, so that the flag is among the flags of the script.
    flags.DEFINE_bool(
        "verify",
        True,
        "Compares the files of artifacts with their checksums when opened.",
    )
    app.run(
        lambda argv: _guarded(main, argv, writes, kind, locks=locks),
        flags_parser=_parse_flags,
    )


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses the flags; an error ends the process with one line and exit code 2."""
    try:
        return list(flags.FLAGS(argv))
    except flags.Error as error:
        text = _MISSING.sub(r"--\1 is required;", " ".join(str(error).split()))
        sys.exit(fail(f"{text.rstrip('.;')}; --help explains the flags", 2))


def _guarded(
    main: Callable[[], int | None],
    argv: list[str],
    writes: str | None,
    kind: str | None,
    *,
    locks: bool,
) -> int | None:
    from tfrecords.storage.locking import writing

    misuse = find_misuse(argv)
    if misuse is not None:
        return fail(misuse, 2)
    _set_up()
    try:
        output = None if writes is None else flags.FLAGS[writes].value
        places = [] if output is None else [Path(output)]
        for place in places:
            require_kind(place, str(writes), kind)
        locked = places if locks else []
        with _stoppable(), _temporary_files_removed(), writing(*locked):
            return main()
    except DataError as error:
        return fail(str(error), 1)
    except KeyboardInterrupt as error:
        number = error.args[0] if error.args else signal.SIGINT
        return fail("stopped; run the same command to go on", 128 + number)
    except Exception as error:
        message = describe_system_error(error)
        if message is None:
            raise
        return fail(message, 1)


def find_misuse(argv: Sequence[str]) -> str | None:
    """Returns a message about the first invalid flag or argument, or None."""
    if len(argv) > 1:
        return f"unexpected argument {argv[1]!r}; every option is a --flag"
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.startswith("absl"):
            continue
        for flag in defined:
            rule = _find_broken_rule(flag) if flag.present else None
            if rule is not None:
                return f"--{flag.name} must {rule}. Received: {flag.name}={flag.value}"
    return None


def _find_broken_rule(flag: Any) -> str | None:
    values = flag.value if isinstance(flag.value, list) else [flag.value]
    if any(isinstance(v, str) and not v.strip() for v in values):
        return "not be empty"
    if any(isinstance(v, str) and "\0" in v for v in values):
        return "have no null character"
    # Polars and Arrow open no such path; exports are opened by Python.
    if flag.name != "input" and any(
        isinstance(v, str) and _SURROGATE(v) for v in values
    ):
        return "be UTF-8"
    if any(isinstance(v, float) and not math.isfinite(v) for v in values):
        return "be a finite number"
    if any(isinstance(v, int) and abs(v) >= 2**63 for v in values):
        return "be below 2^63"
    return None


@contextmanager
def _stoppable() -> Iterator[None]:
    """Makes the signals that ask a process to end clean up like Ctrl-C."""

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:  # `nohup` ignores SIGHUP
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _temporary_files_removed() -> Iterator[None]:
    """Gives this process its own temporary directory, and removes it at the end.

    Libraries, browsers and killed processes leave files behind in it. If this process
    is killed, a later one removes it.
    """
    import fcntl
    import tempfile

    _remove_abandoned(Path(tempfile.gettempdir()))
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    # A short prefix: sockets are created there, whose paths are limited to 107 bytes.
    with (
        tempfile.TemporaryDirectory(
            prefix=_TEMPORARY, ignore_cleanup_errors=True
        ) as directory,
        Path(directory, _RUNNING).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ["TMPDIR"] = tempfile.tempdir = directory
        try:
            yield
        finally:
            variable, tempfile.tempdir = before
            if variable is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = variable


def _remove_abandoned(directory: Path) -> None:
    import fcntl
    import shutil
    import time

    for path in directory.glob(f"{_TEMPORARY}*/{_RUNNING}"):
        with suppress(OSError), path.open() as lock:
            # Its process may not have locked a new file yet.
            if time.time() - path.stat().st_mtime > _NEW_SECONDS:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)


def _set_up() -> None:
    from tfrecords.storage import integrity

    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    if "verify" in flags.FLAGS and not flags.FLAGS["verify"].value:
        integrity.trust_everything()
    # A handler without a format, because absl's would prepend date and position.
    for name in ("dc_keras", "tfrecords"):
        log = standard_logging.getLogger(name)
        log.propagate = False
        log.handlers = [standard_logging.StreamHandler()]


def require_kind(place: Path, flag: str, kind: str | None) -> None:
    """Raises `DataError` if a directory contains an artifact of another kind."""
    if not place.is_dir() or not any(place.iterdir()):
        return
    from dc_keras.privacy.artifacts import find_kind

    found = find_kind(place)
    if found not in (None, kind):
        raise DataError(
            f"--{flag} must be a separate directory: {place} contains another "
            f"artifact, of kind {found}, which would be destroyed. "
            f"Received: {flag}={place}"
        )


@contextmanager
def requiring_report_extra() -> Iterator[None]:
    """Turns a failed import inside the block into an error about the extra `report`."""
    try:
        yield
    except ImportError as error:
        raise DataError(
            "the page needs the extra `report`: pip install 'dc_keras[report]'. "
            f"Received: {error}"
        ) from error


def fail(message: str, code: int) -> int:
    """Prints an error as one line on stderr and returns the exit code."""
    sys.stdout.flush()
    line = escape_controls(message)
    sys.stderr.write(f"{Path(sys.argv[0]).stem}: error: {line}\n")
    return code


def say(text: str = "") -> None:
    """Prints one line of a script's result to stdout."""
    show(escape_controls(text))


def show(text: str) -> None:
    """Prints several lines to stdout; names in them must not contain line breaks."""
    _write(sys.stdout, escape_controls(text, keep="\n"))


def progress(text: str) -> None:
    """Prints one line about the progress to stderr."""
    _write(sys.stderr, escape_controls(text))


def find_corpus(place: Path) -> Path | None:
    """Returns the corpus beside an artifact, where the documents put it, or None."""
    corpus = place.parent / "corpus"
    return corpus if (corpus / "corpus.json").exists() else None


def suggest(command: str, **values: object) -> None:
    """Prints the command to run next to stderr, unless a value is unknown (None)."""
    if None in values.values():
        return
    is_console = sys.argv[0].startswith("dc-keras")
    start = "dc-keras " if is_console else "python -m pipelines."
    words = [f"--{name}={shlex.quote(str(value))}" for name, value in values.items()]
    progress(f"next: {start}{command} {' '.join(words)}")


def _write(stream: TextIO, text: str) -> None:
    """Writes a line, above a progress bar if there is one."""
    bars = sys.modules.get("tqdm") if sys.stderr.isatty() else None
    with nullcontext() if bars is None else bars.tqdm.external_write_mode(stream):
        stream.write(f"{text}\n")
        stream.flush()


def describe_system_error(error: BaseException) -> str | None:
    """Returns one line about an error of the system, None for any other error."""
    if isinstance(error, OSError):
        return _describe_os_error(error)
    if isinstance(error, UnicodeDecodeError):
        return None
    if isinstance(error, MemoryError):
        return "the machine does not have enough memory for this"
    is_of_library = type(error).__module__.partition(".")[0] in _LIBRARIES
    if is_of_library and _IN_TEXT.search(str(error)):
        return " ".join(str(error).split())
    return None


def _describe_os_error(error: OSError) -> str:
    # A rename has two paths, of which the user knows the second.
    filename = error.filename2 or error.filename
    if filename is None or error.strerror is None:
        return " ".join(str(error).split()) or type(error).__name__
    name = os.fsdecode(filename) if isinstance(filename, bytes) else str(filename)
    if isinstance(error, IsADirectoryError):
        return f"{name} must be a file. Received: a directory"
    if isinstance(error, NotADirectoryError | FileExistsError):
        for path in (Path(name), *Path(name).parents):
            if path.is_file():
                return f"{path} must be a directory. Received: a file"
    return f"{name}: {error.strerror.lower()}"
