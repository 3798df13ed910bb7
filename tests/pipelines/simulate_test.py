def test_world_is_written_and_described_as_synthetic(run_script, tmp_path):
    output = tmp_path / "world"
    done = run_script(
        "simulate", f"--output={output}", "--users=5", "--challenges=2", "--seed=3"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Synthetic world of 5 users, 2 challenges")
    assert str(output) in done.stdout
    assert "Prevalence: 0." in done.stdout
    assert "Bayes-optimal average precision: 0." in done.stdout
    assert (output / "items.ndjson").exists()


def test_foreign_directory_ends_in_one_line(fails_in_one_line, tmp_path):
    (tmp_path / "thesis.docx").touch()
    line = fails_in_one_line("simulate", f"--output={tmp_path}", "--users=5")
    assert "thesis.docx" in line


def test_unknown_format_is_a_usage_error(run_script, tmp_path):
    done = run_script("simulate", f"--output={tmp_path}", "--format=vhs")
    assert done.returncode != 0
    assert "web_item" in done.stderr
