import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.simulate", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_world_is_written_and_described_as_synthetic(tmp_path):
    output = tmp_path / "world"
    done = _run(f"--output={output}", "--users=5", "--challenges=2", "--seed=3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Synthetic world of 5 users, 2 challenges")
    assert str(output) in done.stdout
    assert "Prevalence: 0." in done.stdout
    assert "Bayes-optimal average precision: 0." in done.stdout
    assert (output / "items.ndjson").exists()


def test_foreign_directory_ends_in_one_line(tmp_path):
    (tmp_path / "thesis.docx").touch()
    done = _run(f"--output={tmp_path}", "--users=5")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "simulate: error:" in done.stderr
    assert "thesis.docx" in done.stderr


def test_unknown_format_is_a_usage_error(tmp_path):
    done = _run(f"--output={tmp_path}", "--format=vhs")
    assert done.returncode != 0
    assert "web_item" in done.stderr
