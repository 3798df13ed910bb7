"""The console command `dc-keras`."""

import subprocess
import sys
from pathlib import Path

import pytest

from dc_keras import __version__

_ROOT = Path(__file__).parents[3]


def _run(*words, cwd=_ROOT):
    code = "import sys; from pipelines._cli.commands import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=cwd,
        env={"PYTHONPATH": str(_ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [(), ("help",), ("--help",)])
def test_commands_are_listed_with_a_line_each(words):
    done = _run(*words)
    assert done.returncode == 0
    scripts = {p.stem for p in (_ROOT / "pipelines").glob("*.py")}
    lines = done.stdout.splitlines()
    listed = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert listed.keys() == scripts - {"__init__", "__main__"}
    assert listed["simulate"].endswith("all data is synthetic.")
    assert lines[-1] == f"Presets and example studies: {_ROOT}"


def test_help_of_a_command_is_that_of_its_script():
    done = _run("help", "export-model")
    assert done.stdout.startswith("Exports a trained deepChallenger")
    assert "--serving_target" in done.stdout
    assert done.stdout == _run("export_model", "--help").stdout


def test_a_typo_is_told_with_the_nearest_name():
    done = _run("trian")
    assert done.returncode == 2
    assert done.stderr == (
        "dc-keras: error: did you mean train? `dc-keras` lists the commands. "
        "Received: command=trian\n"
    )
    assert "did you mean" not in _run("zzz").stderr


def test_errors_of_a_command_begin_with_its_name(tmp_path):
    flags = ("--input=nothing", "--corpus=corpus", "--key_file=key")
    done = _run("import_corpus", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("import_corpus: error: ")


def test_presets_are_found_from_anywhere(tmp_path):
    flags = ("--flagfile=presets/paper.flags", "--corpus=no", "--study=no")
    done = _run("evaluate", *flags, "--features=no", "--output=run", cwd=tmp_path)
    # The preset was read: what is missing is the corpus.
    assert done.stderr.startswith(
        "evaluate: error: `corpus` must be a corpus directory"
    )
    done = _run("evaluate", "--flagfile=presets/other.flags", cwd=tmp_path)
    assert "presets/other.flags" in done.stderr


def test_the_version_is_told():
    assert _run("--version").stdout == f"{__version__}\n"
