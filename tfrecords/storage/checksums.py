"""Checksums of the files of artifacts.

The output directory of a script contains SHA256SUMS: one line per file in the format of
`sha256sum --check`, and a final comment with the sha256 of these lines, which reveals
damage to the list itself. An artifact that is a single file has such a list in
NAME.sha256. `integrity` compares them with the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tfrecords.errors import DataError

SUMS_FILE = "SHA256SUMS"
SUFFIX = ".sha256"
_SEAL = b"# sha256 of the lines above: "


def hash_file(path: Path) -> str:
    """Returns the hexadecimal sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """Returns the hexadecimal sha256 of each existing file, by its name."""
    return {path.name: hash_file(path) for path in paths if path.exists()}


def write_sums(path: Path, digests: Mapping[str, str]) -> None:
    """Writes a list of checksums atomically.

    Raises:
        DataError: A name contains a line break, which the format does not allow.
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
    """Returns the hexadecimal sha256 by name of a list; None if there is no list.

    Raises:
        DataError: The list is damaged.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    lines, mark, seal = text.rpartition(_SEAL)
    is_whole = bool(mark) and seal == hashlib.sha256(lines).hexdigest().encode() + b"\n"
    if not is_whole:
        raise DataError(
            f"{path}: damaged: the list of checksums has changed; restore it from a "
            "copy, or delete it to continue without checksums"
        )
    rows = (line.split(b"  ", 1) for line in lines.splitlines())
    return {os.fsdecode(name): digest.decode() for digest, name in rows}


def hash_directory(
    directory: Path, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the sha256 of all files of an artifact, by name; `known` are not read."""
    known = known or {}
    return {
        name: known.get(name) or hash_file(directory / name)
        for name in list_files(directory)
    }


def seal_directory(directory: Path) -> None:
    """Writes SHA256SUMS of all files of a complete artifact."""
    write_sums(directory / SUMS_FILE, hash_directory(directory))


def add_to_sums(directory: Path, names: Iterable[str]) -> None:
    """Adds files to SHA256SUMS, or updates their entries."""
    path = directory / SUMS_FILE
    digests = {name: hash_file(directory / name) for name in names}
    write_sums(path, {**(read_sums(path) or {}), **digests})


def write_sealed_file(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file that is a separate artifact, and its NAME.sha256."""
    # First, so that a killed process does not leave the checksum of the old file.
    sums_beside(path).unlink(missing_ok=True)
    write(path)
    write_sums(sums_beside(path), {path.name: hash_file(path)})


def sums_beside(path: Path) -> Path:
    """Returns the path of the checksum of a file that is a separate artifact."""
    return path.with_name(path.name + SUFFIX)


def list_files(directory: Path) -> Iterator[str]:
    """Yields the relative paths of the files of an artifact.

    Hidden files, such as locks, and subdirectories with their own SHA256SUMS are
    excluded.
    """
    for path in sorted(directory.iterdir()):
        name = path.name
        if name.startswith(".") or name == SUMS_FILE:
            continue
        if not path.is_dir():
            yield name
        elif not (path / SUMS_FILE).exists():
            yield from (f"{name}/{inner}" for inner in list_files(path))
