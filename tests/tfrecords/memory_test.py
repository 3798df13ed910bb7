import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from tfrecords.memory import aligned_empty, is_shareable

# Two threads, as TensorFlow's are; prints the pages that the second half of the
# arrays asked the kernel for.
_ARRAYS = """
import resource, sys, threading
import numpy as np
from tfrecords.memory import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "keep" else None)
def fill(count):
    for _ in range(count):
        np.ones(5 << 20)
def run():
    fill(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill(3)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""
_needs_glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told"
)


def _run(argument, **chosen):
    names = ("MALLOC_", "GLIBC_TUNABLES")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(names)}
    done = subprocess.run(
        [sys.executable, "-c", _ARRAYS, argument],
        capture_output=True,
        text=True,
        check=True,
        # NumPy asks for huge pages, TensorFlow does not.
        env={**kept, "NUMPY_MADVISE_HUGEPAGE": "0", **chosen},
    )
    answer, pages = done.stdout.split()
    return answer, int(pages)


@_needs_glibc
def test_the_next_array_takes_the_pages_of_the_last_one():
    _, usual = _run("leave")
    answer, kept = _run("keep")
    assert answer == "True"
    assert kept < usual / 20


@_needs_glibc
@pytest.mark.parametrize(
    "chosen", [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}]
)
def test_who_has_chosen_how_to_allocate_is_left_alone(chosen):
    answer, _ = _run("keep", **chosen)
    assert answer == "False"


@pytest.mark.parametrize("shape", [(3, 5, 7), (1,), (1000, 3)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, bool])
def test_an_aligned_array_is_one_like_any_other(shape, dtype):
    array = aligned_empty(shape, dtype)
    assert (array.shape, array.dtype) == (shape, np.dtype(dtype))
    assert is_shareable(array)
    array[:] = 1
    assert array.all()
    assert not is_shareable(array[1:, ...])
    array.flags.writeable = False
    assert not is_shareable(array)
