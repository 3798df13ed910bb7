"""Measures how much CPU the start costs: `--help` of each command, and the import.

    python -m benchmarks.startup

Prints a table of CPU seconds (user and system, the whole process), each the median of
five runs. `--help` should stay under 0.5 s.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from dc_keras import __version__

_ROOT = Path(__file__).parents[1]
_NUM_RUNS = 5


def commands() -> dict[str, list[str]]:
    """Returns what is measured: a name, and the arguments of Python."""
    scripts = sorted(
        path.stem
        for path in (_ROOT / "pipelines").glob("*.py")
        if "app.run(main)" in path.read_text("utf-8")
    )
    return {
        "(bare Python)": ["-c", "pass"],
        "import dc_keras": ["-c", "import dc_keras"],
        **{f"{name} --help": ["-m", f"pipelines.{name}", "--help"] for name in scripts},
    }


def cpu_seconds(arguments: list[str]) -> float:
    """Returns the CPU seconds of one run of Python, user and system, all threads."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    # Tells Popen that its process is gone, which wait4 kept from it.
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints the table."""
    print(
        f"dc_keras {__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}; "
        f"median of {_NUM_RUNS} runs\n"
    )
    print(f"{'command':<30}{'CPU s':>8}")
    for name, arguments in commands().items():
        seconds = statistics.median(cpu_seconds(arguments) for _ in range(_NUM_RUNS))
        print(f"{name:<30}{seconds:>8.3f}")


if __name__ == "__main__":
    main()
