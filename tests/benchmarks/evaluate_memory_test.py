"""Runs the benchmark of the memory of `evaluate` with few folds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_it_prints_the_memory_after_some_folds_and_the_ratio():
    command = [sys.executable, "-m", "benchmarks.evaluate_memory"]
    done = subprocess.run(
        [*command, "--folds=2", "--users=30"],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    header, _, row, ratio = done.stdout.splitlines()
    assert header == "| folds | MiB | CPU seconds of a fold |"
    # TensorFlow alone takes some hundred MiB.
    assert re.fullmatch(r"\| 2 \| [\d,]{3,} \| [\d.]+ \|", row)
    assert ratio.startswith("1.000 × the memory after 2 folds")
