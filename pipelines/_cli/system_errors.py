"""One-line messages for errors of the operating system, such as a full disk."""

from __future__ import annotations

import os
import re

# Messages of system errors inside the errors of libraries in Rust and C++.
_IN_TEXT = re.compile(
    r"No space left on device|Read-only file system|Permission denied|Not a directory|"
    r"Is a directory|File name too long|No such file or directory|"
    r"Too many levels of symbolic links|Disk quota exceeded|Input/output error|"
    r"File too large|Too many open files"
)


_LIBRARIES = ("tensorflow", "polars", "pyarrow", "zipfile", "absl", "numpy", "h5py")


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
    """Returns the path and the message of an error, without its number."""
    if error.filename is None or error.strerror is None:
        return " ".join(str(error).split()) or type(error).__name__
    name = (
        os.fsdecode(error.filename)
        if isinstance(error.filename, bytes)
        else error.filename
    )
    return f"{name}: {error.strerror.lower()}"
