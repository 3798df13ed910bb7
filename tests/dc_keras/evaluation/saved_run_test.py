import json

import pytest
from saved_runs import write_run

from dc_keras.errors import DataError
from dc_keras.evaluation.saved_run import SavedRun


def test_every_table_is_made_from_the_predictions_alone(tmp_path):
    run = SavedRun.open(write_run(tmp_path, ("random_pair", "cold_user")))
    # What a newcomer would see comes first.
    assert run.splits == ("cold_user", "random_pair")
    assert list(run.tables) == [
        "table_1",
        "table_2_cold_user",
        "table_2_random_pair",
        "metrics_cold_user",
        "rankings_cold_user",
        "variants_cold_user",
        "challenges_cold_user",
        "metrics_random_pair",
        "rankings_random_pair",
        "variants_random_pair",
        "challenges_random_pair",
    ]
    assert run.dataset == "corpus, study made up"


def test_all_tables_are_written_in_all_formats(tmp_path):
    run = SavedRun.open(write_run(tmp_path, proxies=False))
    directory = run.write_tables()
    assert directory == tmp_path / "tables"
    names = {path.name for path in directory.iterdir()}
    assert names == {f"{n}.{e}" for n in run.tables for e in ("md", "json", "tex")}
    for name, table in run.tables.items():
        text = (directory / f"{name}.json").read_text("utf-8")
        assert text == table.to_json()


def test_a_known_truth_means_synthetic_data(tmp_path):
    run = SavedRun.open(write_run(tmp_path, truth="ab"))
    assert run.is_synthetic
    assert "synthetic world" in run.tables["table_2_cold_user"].title


def test_the_configuration_knows_simulated_data_without_a_truth(tmp_path):
    run = write_run(tmp_path)
    config = json.loads((run / "config.json").read_text())
    for is_synthetic in (False, True):
        text = json.dumps(config | {"is_synthetic": is_synthetic})
        (run / "config.json").write_text(text)
        assert SavedRun.open(run).is_synthetic is is_synthetic


def test_a_run_of_proxies_alone_has_table_one(tmp_path):
    run = write_run(tmp_path)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"models": ["proxies"]}))
    assert list(SavedRun.open(run).tables) == ["table_1"]


def test_other_directories_are_refused_as_runs(tmp_path):
    with pytest.raises(DataError, match="is not a run of evaluate: it has no config"):
        SavedRun.open(tmp_path)


def test_run_without_a_finished_fold_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"has no predictions yet; .*evaluate"):
        SavedRun.open(tmp_path)
