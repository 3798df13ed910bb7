import json

import keras
import numpy as np
import pytest
from killing import KilledError, kill_at

from dc_keras.errors import DataError
from dc_keras.models.proxy import UserProxy
from dc_keras.options import ModelOptions
from dc_keras.training.model_directory import (
    claim_directory,
    load_model,
    package_versions,
    save_model,
    write_json,
)
from dc_keras.version import __version__


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    options = ModelOptions(hidden_dim=4, frame_pooling="mean_std")
    return UserProxy(2, 2, 3, 5, **options.to_dict())


def test_model_directory_round_trip(model, tmp_path):
    directory = tmp_path / "runs" / "größe"
    save_model(directory, model, {"task": "user", "classes": ["ö", "b"]})
    loaded, config = load_model(directory)
    for weight, expected in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert config == {
        "task": "user",
        "classes": ["ö", "b"],
        "versions": package_versions(),
    }


def test_nothing_but_the_two_files_is_left(model, tmp_path):
    save_model(tmp_path, model, {})
    save_model(tmp_path, model, {})
    names = {"model.keras", "config.json", "SHA256SUMS"}
    assert {p.name for p in tmp_path.iterdir()} == names


def test_a_directory_without_configuration_is_no_finished_model(model, tmp_path):
    model.save(tmp_path / "model.keras")
    with pytest.raises(DataError, match=r"not a finished model.*config\.json is miss"):
        load_model(tmp_path)


def test_a_configuration_that_cannot_be_written_finishes_nothing(model, tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_model(tmp_path, model, {"labels": np.zeros(2)})
    with pytest.raises(DataError, match="not a finished model directory"):
        load_model(tmp_path)


def test_a_replacement_killed_at_any_change_of_a_name_is_finished_by_a_rerun(
    tmp_path, monkeypatch
):
    for step in range(20):
        place, is_killed = tmp_path / f"{step}", False
        (place / "backup").mkdir(parents=True)
        (place / "backup" / "latest.weights.h5").write_text("of other settings")
        (place / "history.csv").write_text("epoch")
        save_model(place, None, {"seed": 0})
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            try:
                claim_directory(place, {"seed": 1}, overwrite=True)
            except KilledError:
                is_killed = True
        if is_killed:
            with pytest.raises(DataError, match="a model with other settings"):
                claim_directory(place, {"seed": 1})
            claim_directory(place, {"seed": 1}, overwrite=True)
        assert not claim_directory(place, {"seed": 1})
        assert [path.name for path in place.iterdir()] == [".training.json"]
        if not is_killed:
            break
    assert step > 5


def test_json_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "config.json"
    write_json(path, {"b": "größe", "a": 1})
    text = path.read_text("utf-8")
    assert text == '{\n  "a": 1,\n  "b": "größe"\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert path.read_text("utf-8") == text


def test_versions_are_those_that_run():
    versions = package_versions()
    assert versions["dc_keras"] == __version__
    assert versions["keras"] == keras.__version__
    assert versions["numpy"] == np.__version__
    assert json.loads(json.dumps(versions)) == versions
