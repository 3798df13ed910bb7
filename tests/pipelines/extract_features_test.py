import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tfrecords.reader import read_features

_TESTS = Path(__file__).parents[1]


def _manifest(ran):
    return json.loads((ran.output / "manifest.json").read_text("utf-8"))


def test_features_name_their_encoders_and_their_frames(features, colours, frames):
    first, second = _manifest(features), _manifest(colours)
    assert first["settings"]["vision"]["name"] == "tiny_frames"
    assert first["settings"]["text"]["fingerprint"]
    assert second["settings"]["vision"]["name"] == "tiny_colours"
    assert second["settings"]["text"] is None
    for manifest in (first, second):
        assert manifest["num_records"] == _manifest(frames)["num_records"]
        assert manifest["settings"]["frames"]["num_frames"] == 2


def test_hashtags_of_the_study_are_masked(features, world):
    text = _manifest(features)["settings"]["text"]
    assert text["hashtags"] == "mask_focal"
    assert len(text["focal_hashtags"]) >= 3


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (["--text=hub:x"], "--hashtags=mask_focal needs --study"),
        (["--vision=none"], "vision"),
        (["--vision=ResNet50", "--vision_layer=fc1"], "fc1"),
        (["--vision_weights=no/such.h5"], "no/such.h5"),
    ],
)
def test_what_does_not_fit_together_is_one_line(
    fails_in_one_line, frames, tmp_path, flags, wanted
):
    output = tmp_path / "features"
    line = fails_in_one_line(
        "extract_features", f"--records={frames.output}", f"--output={output}", *flags
    )
    assert wanted in line
    assert not list(tmp_path.glob("features/*.tfrecord"))


def _run_openvino(frames, runtime, output):
    return (
        "extract_features",
        f"--records={frames.output}",
        f"--output={output}",
        "--encoders=tiny_encoders",
        "--vision=tiny_colours",
        f"--vision_runtime={runtime}",
    )


def test_openvino_gives_the_features_of_tensorflow(
    run_script, frames, colours, tmp_path
):
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    done = run_script(*_run_openvino(frames, "openvino", tmp_path))
    assert done.returncode == 0, done.stderr
    ours, theirs = (read_features(place) for place in (tmp_path, colours.output))
    assert ours.video_ids == theirs.video_ids
    np.testing.assert_array_equal(ours.frame_mask, theirs.frame_mask)
    # Half a step of float16 apart, where the last bit of float32 decides.
    np.testing.assert_allclose(ours.frames, theirs.frames, rtol=1e-3, atol=1e-4)
    assert np.any(ours.frames)
    named = [found.settings["vision"] for found in (ours, theirs)]
    assert named[0]["fingerprint"] != named[1]["fingerprint"]
    assert named[0]["network_fingerprint"] == named[1]["fingerprint"]


def test_int8_is_quantised_once_and_its_error_is_reported(
    run_script, frames, int8_features
):
    assert "quantising the network, once for all shards" in int8_features.stderr
    assert "cosine to float32 on 100 held-out frames: at least 0.99" in (
        int8_features.stderr
    )
    assert int8_features.stdout.startswith("404 records in 2 shards")
    vision = _manifest(int8_features)["settings"]["vision"]
    assert vision["runtime"] == "openvino_int8"
    assert vision["calibration"]["num_frames"] == 300
    assert 0.99 <= vision["calibration"]["smallest_cosine"] < 1.0
    again = run_script(
        *_run_openvino(frames, "openvino_int8", int8_features.output), "--image_size=64"
    )
    assert "(2 done before)" in again.stdout
    assert "quantising" not in again.stderr


def test_openvino_is_for_frames(fails_in_one_line, frames, tmp_path):
    line = fails_in_one_line(
        "extract_features",
        f"--records={frames.output}",
        f"--output={tmp_path}",
        "--vision=none",
        "--text=hub:x",
        "--vision_runtime=openvino",
    )
    assert line == (
        "--vision_runtime needs --vision. "
        "Received: vision_runtime=openvino, vision=none"
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a module of encoders, from which the scripts are run."""
    place = tmp_path_factory.mktemp("place")
    shutil.copy(_TESTS / "tiny_encoders.py", place / "my_encoders.py")
    return place


@pytest.fixture(scope="module")
def run(run_script, place):
    """Runs a script in that directory, which must succeed."""

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
    assert line.startswith(
        "encoders must be in Python modules that every worker can import"
    )
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
