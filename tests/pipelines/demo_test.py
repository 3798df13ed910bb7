import re


def test_the_demo_ends_with_the_step_that_failed(run_script, tmp_path):
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "thesis.docx").touch()
    done = run_script("demo", f"--workdir={tmp_path}", "--users=40")
    assert done.returncode == 1
    shown = re.findall(r"^\$ python -m pipelines\.(\w+)", done.stdout, re.M)
    assert shown == ["simulate"]
    assert "thesis.docx" in done.stderr
    assert "Traceback" not in done.stderr
