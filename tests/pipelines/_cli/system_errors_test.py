import errno
import os
import subprocess
import sys

import polars as pl
import pytest

from pipelines._cli.system_errors import describe_system_error

# A disk that is full: no file may have more than a few bytes.
_ON_A_FULL_DISK = """
import resource, sys
import polars as pl
from pathlib import Path
from tfrecords.storage.atomic_update import write_table, write_text
from pipelines._cli.system_errors import describe_system_error
pl.DataFrame({"a": [0]}).write_parquet("/dev/null")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
for write in (
    lambda path: write_text(path, "x" * 1000),
    lambda path: write_table(path, pl.DataFrame({"a": range(1000)})),
):
    try:
        write(Path(sys.argv[1]))
    except Exception as error:
        print(repr(describe_system_error(error)))
"""


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EROFS, errno.ENAMETOOLONG, errno.EISDIR, errno.ELOOP]
)
def test_what_the_system_refuses_is_one_line(number):
    error = OSError(number, os.strerror(number), "/some/where")
    assert describe_system_error(error) == f"/some/where: {os.strerror(number).lower()}"


def test_names_that_are_not_utf8_are_reported():
    error = FileNotFoundError(errno.ENOENT, "No such file", b"/m\xfcller")
    assert describe_system_error(error) == "/m\udcfcller: no such file"


def test_errors_of_libraries_about_files_are_one_line():
    error = pl.exceptions.ComputeError("cannot write\n  No space left on device")
    assert describe_system_error(error) == "cannot write No space left on device"
    assert (
        describe_system_error(pl.exceptions.ComputeError("a mistake of ours")) is None
    )


def test_mistakes_of_ours_keep_their_traceback():
    assert describe_system_error(ValueError("No space left on device")) is None
    assert describe_system_error(KeyError("x")) is None


def test_a_full_disk_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        check=True,
    )
    told = done.stdout.splitlines()
    assert len(told) == 2
    assert all("ile too large" in line for line in told), told
