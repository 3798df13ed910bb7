import csv

import pytest


def test_a_model_directory_has_model_config_and_curves(model):
    assert model.stdout.startswith("Study ") or "users" in model.stdout
    names = {path.name for path in model.output.iterdir()}
    assert {"model.keras", "config.json", "history.csv"} <= names
    for place in ("", "challenge_proxy", "user_proxy"):
        card = (model.output / place / "MODEL_CARD.md").read_text("utf-8")
        assert "| synthetic | yes: a simulated world |" in card
    with (model.output / "history.csv").open(encoding="utf-8") as rows:
        epochs = list(csv.DictReader(rows))
    assert len(epochs) == 2
    assert "val_average_precision" in epochs[0]


@pytest.mark.parametrize("task", ["challenge", "user"])
def test_a_proxy_is_trained_alone(chain, data, task):
    ran = chain("train", f"--task={task}", "--epochs=1", *data, output=f"{task}_proxy")
    assert (ran.output / "model.keras").exists()


def test_features_of_other_records_are_refused(
    fails_in_one_line, corpus, study, tmp_path
):
    line = fails_in_one_line(
        "train",
        f"--corpus={corpus.output}",
        study,
        f"--features={tmp_path}",
        f"--output={tmp_path}/model",
    )
    assert str(tmp_path) in line
    assert not (tmp_path / "model").exists()
