import pytest

from dc_keras.encoders.extraction import ExtractionConfig, ExtractorSpec
from dc_keras.encoders.vision import VisionSpec, float32_fingerprint
from dc_keras.errors import DataError

_SPEC = VisionSpec("VGG16", weights="random", image_size=32)


def _settings(runtime):
    spec = ExtractorSpec(_SPEC, None, ExtractionConfig(4, 32), runtime)
    return spec.build().settings()["vision"]


def test_each_runtime_has_a_fingerprint_of_its_own():
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    ours, other = _settings("tensorflow"), _settings("openvino")
    assert "runtime" not in ours
    fingerprint = ours["fingerprint"]
    assert other["network_fingerprint"] == fingerprint != other["fingerprint"]
    assert float32_fingerprint(other) == float32_fingerprint(ours)


def test_features_of_int8_are_refused():
    settings = {"runtime": "openvino_int8", "network_fingerprint": "aa"}
    with pytest.raises(
        DataError, match=r"train again\. Received: runtime=openvino_int8"
    ):
        float32_fingerprint(settings)
