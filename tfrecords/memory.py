"""Memory that TensorFlow need not take, and memory that it need not give back."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import numpy.typing as npt

# Numbers of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MIB = 1 << 20
_ALIGNMENT = 64


def keep_freed_memory() -> bool:
    """Lets the process keep what it frees, up to 512 MiB a piece, for the next tensor.

    As it is, the C library gives the memory of every large tensor back and asks for it
    again at the next step, and the kernel fills each of its pages with zeros before
    anything is written: a third of a step of the user proxy on true sizes
    (docs/performance.md). The process stays as large as it once was.

    To be called before TensorFlow starts its threads, which is at its first operation.

    Returns:
        Whether anything was set: only with the GNU C library, and not where the
        environment says how it is to allocate (`MALLOC_…`, `GLIBC_TUNABLES`).
    """
    is_chosen = "GLIBC_TUNABLES" in os.environ or any(
        name.startswith("MALLOC_") for name in os.environ
    )
    library: Any = ctypes.CDLL(None) if os.name == "posix" else None
    if is_chosen or not hasattr(library, "gnu_get_libc_version"):
        return False
    wishes = (
        (_MMAP_THRESHOLD, 512 * _MIB),
        (_TRIM_THRESHOLD, 1024 * _MIB),
        # Only the first arena grows beyond 64 MiB.
        (_ARENA_MAX, 1),
    )
    return all(library.mallopt(name, value) for name, value in wishes)


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Returns an array of nothing yet that a tensor can share (`training.data`).

    TensorFlow reads memory from multiples of 64 bytes on; NumPy's begins anywhere.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def is_shareable(array: npt.NDArray[Any]) -> bool:
    """Whether a tensor can share an array's memory."""
    is_aligned = array.ctypes.data % _ALIGNMENT == 0
    flags = array.flags
    return is_aligned and array.size > 0 and flags.c_contiguous and flags.writeable
