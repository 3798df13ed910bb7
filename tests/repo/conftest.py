"""What the tests of the repository share: its root, its scripts, and how to run one."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path.stem
    for path in (ROOT / "pipelines").glob("*.py")
    if "app.run(main" in path.read_text("utf-8")
)


def pytest_generate_tests(metafunc):
    """Runs a test that asks for `script` once for every script in pipelines/."""
    if "script" in metafunc.fixturenames:
        metafunc.parametrize("script", SCRIPTS)


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def scripts():
    return SCRIPTS


@pytest.fixture(scope="session")
def run_python():
    """Runs Python in the root of the repository, each command line only once."""

    @cache
    def run(*arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            # Help is wrapped at the width of the terminal.
            env={**os.environ, "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def flags_of(run_python):
    """Returns a script's flags by name; the value says whether --help shows the flag."""
    return lambda script: {
        name: flag.findtext("key") == "yes"
        for name, flag in _flags(run_python, script).items()
    }


@pytest.fixture(scope="session")
def defaults_of(run_python):
    """Returns the defaults of a script's flags by name, as text; None without one."""

    def read(script):
        texts = {
            name: flag.findtext("default")
            for name, flag in _flags(run_python, script).items()
        }
        # absl writes a missing default either way, by the type of the flag.
        return {n: None if text in ("", "None") else text for n, text in texts.items()}

    return read


def _flags(run_python, script):
    xml = run_python("-m", f"pipelines.{script}", "--helpxml").stdout
    return {
        flag.findtext("name"): flag
        for flag in ElementTree.fromstring(xml).iter("flag")
        if not flag.findtext("file").startswith("absl.")
    }
