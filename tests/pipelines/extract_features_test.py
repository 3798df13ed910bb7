import json

import pytest


def _manifest(ran):
    return json.loads((ran.output / "manifest.json").read_text("utf-8"))


def test_features_name_their_encoders_and_their_frames(vgg16, resnet50, frames):
    first, second = _manifest(vgg16), _manifest(resnet50)
    assert first["settings"]["vision"]["name"] == "VGG16"
    assert first["settings"]["text"]["fingerprint"]
    assert second["settings"]["vision"]["name"] == "ResNet50"
    assert second["settings"]["text"] is None
    for manifest in (first, second):
        assert manifest["num_records"] == _manifest(frames)["num_records"]
        assert manifest["settings"]["frames"]["num_frames"] == 2


def test_hashtags_of_the_study_are_masked(vgg16, world):
    text = _manifest(vgg16)["settings"]["text"]
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
