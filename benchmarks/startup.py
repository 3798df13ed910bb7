"""Measures the CPU time of starting: `--help` of each command, and the import.

    python -m benchmarks.startup [DIRECTORY]

Prints CPU seconds (user and system, of the whole process and its children) as medians
of interleaved runs, and their ratio to those of a bare Python. `--help` should stay
under 12. With the directory of `make demo`, measures `predict` for one user and one
challenge, and the import of TensorFlow instead.
"""

from __future__ import annotations

import csv
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.turns import interleaved
from dc_keras import __version__

_ROOT = Path(__file__).parents[1]
_NUM_RUNS = 5


def commands() -> dict[str, list[str]]:
    """Returns the names and the Python arguments of the measured commands."""
    scripts = sorted(
        path.stem
        for path in (_ROOT / "pipelines").glob("*.py")
        if "app.run(main" in path.read_text("utf-8")
    )
    return {
        "(bare Python)": ["-c", "pass"],
        "import dc_keras": ["-c", "import dc_keras"],
        **{f"{name} --help": ["-m", f"pipelines.{name}", "--help"] for name in scripts},
    }


def questions(demo: Path) -> dict[str, list[str]]:
    """Returns the same for a short question to the bundle of the demo."""
    with (demo / "predictions.csv").open(encoding="utf-8", newline="") as file:
        pair = next(csv.DictReader(file))
    flags = {
        "bundle": demo / "export",
        "corpus": demo / "corpus",
        "user": pair["user_id"],
        "challenge": pair["challenge"],
    }
    predict = [f"--{name}={value}" for name, value in flags.items()]
    return {
        "(bare Python)": ["-c", "pass"],
        "import tensorflow": ["-c", "import tensorflow"],
        "predict": ["-m", "pipelines.predict", *predict],
    }


def run_python(arguments: list[str]) -> None:
    """Runs Python to its end, without showing its output."""
    # absl ends --help with exit code 1, the same as a crash of Python.
    done = subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, capture_output=True, check=False
    )
    if b"Traceback" in done.stderr or b": error: " in done.stderr:
        raise RuntimeError(done.stderr.decode())


def children_seconds() -> float:
    """Returns the CPU seconds of all completed child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints the table."""
    print(
        f"dc_keras {__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}; "
        f"medians of {_NUM_RUNS} interleaved runs\n"
    )
    measured_commands = questions(Path(sys.argv[1])) if sys.argv[1:] else commands()
    seconds = interleaved(
        *(partial(run_python, arguments) for arguments in measured_commands.values()),
        num_rounds=_NUM_RUNS,
        clock=children_seconds,
    )
    print(f"{'command':<30}{'CPU s':>8}{'ratio':>8}")
    for name, measured in zip(measured_commands, seconds, strict=True):
        print(f"{name:<30}{measured:>8.3f}{measured / seconds[0]:>8.1f}")


if __name__ == "__main__":
    main()
