"""Settings of memory management, and arrays that share memory with tensors."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

# Constants of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MIB = 1 << 20
_ALIGNMENT = 64


def keep_freed_memory() -> bool:
    """Makes the process keep freed blocks of up to 512 MiB for later tensors.

    By default, the C library returns the memory of each large tensor to the kernel and
    requests it again in the next step, and the kernel fills each page with zeros. This
    takes a third of a training step of the user proxy with the sizes of the paper. With
    this setting, the process does not shrink.

    Call it before the first operation of TensorFlow, which starts its threads.
    """
    is_chosen = "GLIBC_TUNABLES" in os.environ or any(
        name.startswith("MALLOC_") for name in os.environ
    )
    library: Any = ctypes.CDLL(None) if os.name == "posix" else None
    if is_chosen or not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = (
        (_MMAP_THRESHOLD, 512 * _MIB),
        (_TRIM_THRESHOLD, 1024 * _MIB),
        # Only the main arena can grow beyond 64 MiB.
        (_ARENA_MAX, 1),
    )
    return all(library.mallopt(name, value) for name, value in settings)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disables the search for cycles, which slows code that makes many objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Returns an uninitialised array whose memory a tensor can share.

    TensorFlow needs memory aligned to 64 bytes, which NumPy does not guarantee.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def is_shareable(array: npt.NDArray[Any]) -> bool:
    """Returns whether a tensor can share the memory of an array."""
    is_aligned = array.ctypes.data % _ALIGNMENT == 0
    flags = array.flags
    return is_aligned and array.size > 0 and flags.c_contiguous and flags.writeable
