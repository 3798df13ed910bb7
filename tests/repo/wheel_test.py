"""What `pip install` gives outside a checkout: commands, types, presets and studies."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from dc_keras import __version__

pytestmark = pytest.mark.long

_COPIED = (
    *("dc_keras", "tfrecords", "pipelines", "presets", "studies"),
    *("pyproject.toml", "setup.py", "README.md", "LICENSE"),
)
_BUILD = "from setuptools import build_meta as b; b.build_{}('dist')"


def _run(*command, cwd, code=0):
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def sdist(root, tmp_path_factory):
    place = tmp_path_factory.mktemp("sdist")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in _COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, place / name, ignore=ignore)
        else:
            shutil.copy(root / name, place / name)
    _run(sys.executable, "-c", _BUILD.format("sdist"), cwd=place)
    [archive] = (place / "dist").glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Built from the sdist, so that this holds everything that a build needs."""
    place = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(place, filter="data")
    [source] = place.iterdir()
    _run(sys.executable, "-c", _BUILD.format("wheel"), cwd=source)
    [built] = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The bin directory of an environment with the wheel and our dependencies."""
    place = tmp_path_factory.mktemp("environment") / "env"
    _run(sys.executable, "-m", "venv", "--without-pip", place, cwd=wheel.parent)
    python = place / "bin" / "python"
    packages = _run(
        python,
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=place,
    ).strip()
    # A path in a .pth file: what lies there is found after the wheel, and editable
    # installations there are not.
    link = Path(packages) / "dependencies.pth"
    link.write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
    _run(*pip, "--no-deps", "--no-index", wheel, cwd=place)
    return place / "bin"


def test_a_wheel_holds_types_presets_and_studies_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {"dc_keras/py.typed", "tfrecords/py.typed"} <= set(names)
    shared = {name.partition("/share/dc_keras/")[2] for name in names} - {""}
    assert shared == {
        *("presets/default.flags", "presets/paper.flags"),
        *("studies/example.toml", "studies/paper.toml"),
    }
    tops = {name.partition("/")[0] for name in names if ".d" not in name}
    assert tops == {"dc_keras", "tfrecords", "pipelines"}


def test_commands_work_in_an_empty_directory(installed, tmp_path):
    command = installed / "dc-keras"
    listed = _run(command, cwd=tmp_path)
    assert "  import_corpus " in listed
    shared = listed.splitlines()[-1].partition(": ")[2]
    assert shared.startswith(str(installed.parent))
    assert _run(command, "--version", cwd=tmp_path) == f"{__version__}\n"
    _run(
        *(command, "simulate", "--output=world", "--users=6", "--challenges=2"),
        cwd=tmp_path,
    )
    told = _run(
        *(command, "import_corpus", "--input=world/items.ndjson"),
        *("--media_root=world/media", "--corpus=corpus", "--key_file=key"),
        cwd=tmp_path,
    )
    assert "imported" in told
    code = "import dc_keras as dc; print(dc.Corpus.open('corpus').videos.height)"
    assert int(_run(installed / "python", "-c", code, cwd=tmp_path)) > 0
    # The preset is found, and what is missing is the corpus.
    missing = ("--corpus=no", "--study=no", "--features=no", "--output=run")
    told = _run(
        *(command, "evaluate", "--flagfile=presets/paper.flags", *missing),
        cwd=tmp_path,
        code=1,
    )
    assert told.startswith("evaluate: error: `corpus` must be a corpus directory")
