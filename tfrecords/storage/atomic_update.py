"""Several files of a directory change together: all of them, or none.

New versions are written into a directory of their own. One rename decides that they
count; then each takes the place of the old file. A process that is killed before the
rename leaves the old files, and one that is killed after it leaves the rest of the work
to whoever opens the directory next (`finish_switch`). SHA256SUMS changes with them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tfrecords.storage.checksums import SUMS_FILE, hash_file, read_sums, write_sums

STAGED = ".next"
_DECIDED = ".switch"


class Switch:
    """New versions of some files of a directory, none in place until `commit`.

    Leaving the context without `commit` throws them away.

    Args:
        directory: made where it is missing.
        seals: whether a directory without SHA256SUMS gets one; where there is one it
            follows the change in any case.
    """

    def __init__(self, directory: Path, *, seals: bool = True) -> None:
        finish_switch(directory)
        self._directory, self._seals = directory, seals
        self._staged = directory / STAGED
        # Of a process that was killed: writers exclude each other.
        shutil.rmtree(self._staged, ignore_errors=True)
        self._staged.mkdir(parents=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._staged, ignore_errors=True)

    def path(self, name: str) -> Path:
        """Returns where the new version of a file is to be written.

        Args:
            name: of the file, relative to the directory.
        """
        path = self._staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def remove(self, name: str) -> None:
        """Lets a file go together with the change; none need be there."""
        self.path(name).touch()  # an empty file stands for none

    def commit(self, others: Mapping[str, str] | None = None) -> None:
        """Puts everything in place.

        Args:
            others: sha256, hex, by name, of what SHA256SUMS has beside the new
                versions; None for what it has now.
        """
        self._stage_sums(others)
        for path in self._staged.rglob("*"):
            if path.is_file():
                _flush(path)
        self._staged.rename(self._directory / _DECIDED)
        finish_switch(self._directory)

    def _stage_sums(self, others: Mapping[str, str] | None) -> None:
        if others is None:
            others = read_sums(self._directory / SUMS_FILE)
        if others is None and not self._seals:
            return
        sums = dict(others or {})
        for path in self._staged.rglob("*"):
            name = path.relative_to(self._staged).as_posix()
            if path.is_file() and path.stat().st_size:
                sums[name] = hash_file(path)
            elif path.is_file():
                sums.pop(name, None)
        if sums:
            write_sums(self.path(SUMS_FILE), sums)
        else:
            self.remove(SUMS_FILE)


def finish_switch(directory: Path) -> None:
    """Puts in place what was decided, and does nothing where nothing was.

    Any number of processes may do so at once: each file is renamed by one of them.
    """
    decided = directory / _DECIDED
    if not decided.is_dir():
        return
    inside = sorted(decided.rglob("*"), reverse=True)
    for path in inside:
        if not path.is_dir():
            _put_in_place(path, directory / path.relative_to(decided))
    # Not with what is in them: another process may have decided something new by now.
    for path in (*(path for path in inside if path.is_dir()), decided):
        try:
            path.rmdir()
        except OSError:
            return


def _put_in_place(path: Path, target: Path) -> None:
    try:
        if path.stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        else:
            target.unlink(missing_ok=True)
            path.unlink()
    except FileNotFoundError:
        pass  # another process was quicker


def _flush(path: Path) -> None:
    # On disk before the decision is: after a power cut, a name means a whole file.
    with path.open("rb+") as file:
        os.fsync(file.fileno())
