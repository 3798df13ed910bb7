"""Encoders that a module of a user's own registers, from frames to served answers."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

_TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a module of encoders, from which the scripts are run."""
    place = tmp_path_factory.mktemp("place")
    shutil.copy(_TESTS / "tiny_encoders.py", place / "my_encoders.py")
    return place


@pytest.fixture(scope="module")
def run(run_script, place):
    """Runs a script in that directory, and expects it to end well."""

    def run(name, *flags, cwd=place):
        done = run_script(name, *flags, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def extract_flags(frames, study):
    return (
        "extract_features",
        f"--records={frames.output}",
        "--encoders=my_encoders",
        "--vision=tiny_frames",
        "--text=tiny_texts",
        study,
    )


@pytest.fixture(scope="module")
def own_features(run, place, extract_flags):
    run(*extract_flags, "--output=features")
    return place / "features"


@pytest.fixture(scope="module")
def own_model(run, place, own_features, corpus, study):
    data = (f"--corpus={corpus.output}", study, f"--features={own_features}")
    run("train", *data, "--epochs=1", "--output=model")
    return place / "model"


@pytest.fixture(scope="module")
def own_bundle(run, place, own_model):
    run("export_model", f"--model={own_model}", "--output=export")
    return place / "export"


def test_features_name_the_module(own_features):
    manifest = json.loads((own_features / "manifest.json").read_text("utf-8"))
    for kind, name in (("vision", "tiny_frames"), ("text", "tiny_texts")):
        settings = manifest["settings"][kind]
        assert settings["module"] == "my_encoders"
        assert name in (settings.get("name"), settings.get("handle"))
        assert re.fullmatch("[0-9a-f]{64}", settings["fingerprint"])


def test_a_bundle_answers_where_the_module_is_not(run, own_bundle, corpus, tmp_path):
    flags = f"--bundle={own_bundle}", f"--corpus={corpus.output}"
    run("predict", *flags, f"--output={tmp_path}/predictions.csv", cwd=tmp_path)
    table = pl.read_csv(tmp_path / "predictions.csv")
    assert table["challenge"].n_unique() == 3
    assert table["probability"].is_between(0, 1).all()
    # Both networks say something.
    assert table["probability"].n_unique() > 3


def test_an_export_where_the_module_is_not_is_one_line(
    fails_in_one_line, own_model, tmp_path
):
    flags = f"--model={own_model}", f"--output={tmp_path}/export"
    line = fails_in_one_line("export_model", *flags)
    assert line.startswith("encoders must be in Python modules that can be imported")
    assert line.endswith("encoders='my_encoders' (No module named 'my_encoders')")
    assert not list(tmp_path.glob("export/*"))


def test_a_module_that_is_nowhere_is_one_line(
    fails_in_one_line, extract_flags, tmp_path
):
    line = fails_in_one_line(
        *extract_flags, "--encoders=nowhere", f"--output={tmp_path}/features"
    )
    assert line.endswith("encoders='nowhere' (No module named 'nowhere')")


@pytest.mark.long
def test_workers_of_ray_import_the_module_too(
    run, fails_in_one_line, place, extract_flags, own_features, tmp_path
):
    pytest.importorskip("ray", reason="no Ray: pip install 'dc_keras[cluster]'")
    flags = (*extract_flags, "--runner=ray")
    run(*flags, f"--output={tmp_path}/features")
    for path in own_features.glob("*.tfrecord"):
        assert (tmp_path / "features" / path.name).read_bytes() == path.read_bytes()
    # This one is on the path of the tests, and not on that of the workers.
    flags = (*flags, "--encoders=tiny_encoders", f"--output={tmp_path}/none")
    line = fails_in_one_line(*flags, cwd=place)
    assert line.endswith("encoders='tiny_encoders' (No module named 'tiny_encoders')")
    assert not list(tmp_path.glob("none/*.tfrecord"))
