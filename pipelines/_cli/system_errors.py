"""What the system refuses, in one line: a full disk, a name too long, no permission."""

from __future__ import annotations

import os
import re

# What libraries in Rust and C++ say of the system's refusals.
_IN_TEXT = re.compile(
    r"No space left on device|Read-only file system|Permission denied|Not a directory|"
    r"Is a directory|File name too long|No such file or directory|"
    r"Too many levels of symbolic links|Disk quota exceeded|Input/output error|"
    r"File too large|Too many open files"
)


def told_of_system(error: BaseException) -> str | None:
    """Returns one line for an error that the system raised, None for any other."""
    if isinstance(error, OSError):
        return _told(error)
    if isinstance(error, UnicodeDecodeError):
        return None
    if isinstance(error, MemoryError):
        return "the machine has too little memory for this"
    found = _IN_TEXT.search(str(error))
    is_of_library = type(error).__module__.partition(".")[0] in _LIBRARIES
    if found is None or not is_of_library:
        return None
    return " ".join(str(error).split())


_LIBRARIES = ("tensorflow", "polars", "pyarrow", "zipfile", "absl", "numpy", "h5py")


def _told(error: OSError) -> str:
    """Returns where and what, without the number that the system gives it."""
    if error.filename is None or error.strerror is None:
        return " ".join(str(error).split()) or type(error).__name__
    name = (
        os.fsdecode(error.filename)
        if isinstance(error.filename, bytes)
        else error.filename
    )
    return f"{name}: {error.strerror.lower()}"
