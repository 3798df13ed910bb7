"""Checksums: of files, and of everything that an artifact consists of.

A directory that a script made has a file SHA256SUMS: a line a file, as `sha256sum
--check` reads them, and last, as a comment, the sha256 of these lines, so that a
flipped bit in the list itself shows as well. A file that is an artifact by itself has
such a list beside it, NAME.sha256. `verification` compares them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from dc_keras.errors import DataError

SUMS_FILE = "SHA256SUMS"
SUFFIX = ".sha256"
_SEAL = b"# sha256 of the lines above: "
_PLAIN = re.compile(rb"(?:[0-9a-f]{64}  [^\n]+\n)+")


def hash_file(path: Path) -> str:
    """Returns the sha256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """Returns the sha256 of each file that is there, by its name."""
    return {path.name: hash_file(path) for path in paths if path.exists()}


def write_sums(path: Path, digests: Mapping[str, str]) -> None:
    """Writes a list of checksums, whole or not at all.

    Args:
        path: SHA256SUMS of a directory, or NAME.sha256.
        digests: sha256, hex, by the name of the file relative to that of the list.

    Raises:
        DataError: a name has a line break, which such a list cannot hold.
    """
    lines = b""
    for name, digest in sorted(digests.items()):
        if "\n" in name:
            raise DataError(
                "the name of a file must have no line break. "
                f"Received: file={str(path.parent / name)!r}"
            )
        lines += f"{digest}  ".encode() + os.fsencode(name) + b"\n"
    seal = hashlib.sha256(lines).hexdigest().encode()
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(lines + _SEAL + seal + b"\n")
    temporary.replace(path)


def read_sums(path: Path) -> dict[str, str] | None:
    """Returns the checksums of a list, sha256 by name; None where there is none.

    Raises:
        DataError: the list is not what was written.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    lines, mark, seal = text.rpartition(_SEAL)
    is_whole = bool(mark) and seal == hashlib.sha256(lines).hexdigest().encode() + b"\n"
    # Bundles of older versions have a list without a digest of its own.
    if _SEAL not in text and _PLAIN.fullmatch(text):
        is_whole, lines = True, text
    if not is_whole:
        raise DataError(
            f"{path}: damaged: the list of checksums is not what was written; bring it "
            "back from a copy, or delete it to go on without"
        )
    rows = (line.split(b"  ", 1) for line in lines.splitlines())
    return {os.fsdecode(name): digest.decode() for digest, name in rows}


def hash_directory(
    directory: Path, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the sha256 of every file of an artifact, by its name in there.

    Args:
        directory: of the artifact.
        known: of files that need not be read for it.
    """
    known = known or {}
    return {
        name: known.get(name) or hash_file(directory / name)
        for name in list_files(directory)
    }


def seal_directory(directory: Path) -> None:
    """Writes SHA256SUMS over every file of an artifact that is complete."""
    write_sums(directory / SUMS_FILE, hash_directory(directory))


def add_to_sums(directory: Path, names: Iterable[str]) -> None:
    """Adds files to SHA256SUMS, or renews what it says of them."""
    path = directory / SUMS_FILE
    digests = {name: hash_file(directory / name) for name in names}
    write_sums(path, {**(read_sums(path) or {}), **digests})


def write_sealed_file(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file that is an artifact by itself, and its checksum beside it.

    Args:
        path: of the file.
        write: called with it; writes the file whole or not at all.
    """
    # First: a process that is killed leaves no checksum of another file.
    sums_beside(path).unlink(missing_ok=True)
    write(path)
    write_sums(sums_beside(path), {path.name: hash_file(path)})


def sums_beside(path: Path) -> Path:
    """Returns where the checksum of a file that is an artifact by itself lies."""
    return path.with_name(path.name + SUFFIX)


def list_files(directory: Path) -> Iterator[str]:
    """Yields the names of the files that belong to an artifact, relative to it.

    What is hidden, such as a lock, does not, nor does a directory inside with checksums
    of its own.
    """
    for path in sorted(directory.iterdir()):
        name = path.name
        if name.startswith(".") or name == SUMS_FILE:
            continue
        if not path.is_dir():
            yield name
        elif not (path / SUMS_FILE).exists():
            yield from (f"{name}/{inner}" for inner in list_files(path))
