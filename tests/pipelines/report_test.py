import pytest
from saved_runs import write_run

from tfrecords.storage.checksums import seal_directory


def test_a_page_and_its_tables_are_made_from_predictions(run_script, tmp_path):
    pytest.importorskip("plotly", reason="the extra `report` is not installed")
    run, output = write_run(tmp_path / "run", num_users=16), tmp_path / "report.html"
    done = run_script("report", f"--run={run}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{output}: the report; its tables in {run}/tables\n"
    assert "Table II. Participation, cold_user" in output.read_text("utf-8")
    assert (run / "tables" / "table_2_cold_user.tex").exists()


def test_a_directory_without_a_run_is_one_line(fails_in_one_line, tmp_path):
    line = fails_in_one_line(
        "report", f"--run={tmp_path}", f"--output={tmp_path}/report.html"
    )
    assert "is not a run of evaluate" in line


def test_a_file_of_an_artifact_is_never_replaced(fails_in_one_line, tmp_path):
    run = write_run(tmp_path / "run", num_users=16)
    seal_directory(run)
    before = (run / "config.json").read_bytes()
    line = fails_in_one_line("report", f"--run={run}", f"--output={run}/config.json")
    assert "is part of the artifact" in line
    assert (run / "config.json").read_bytes() == before
