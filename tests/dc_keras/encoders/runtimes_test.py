import pytest

from dc_keras.encoders.runtimes import (
    RUNTIMES,
    build_frame_encoder,
    float32_fingerprint,
)
from dc_keras.encoders.vision import VisionEncoder, VisionSpec
from dc_keras.errors import DataError

_SPEC = VisionSpec("VGG16", weights="random", image_size=32)


def test_each_runtime_has_a_fingerprint_of_its_own():
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    ours = build_frame_encoder(_SPEC, "tensorflow", 32)
    assert isinstance(ours, VisionEncoder)
    assert "runtime" not in ours.settings()
    other = build_frame_encoder(_SPEC, "openvino", 32).settings()
    assert other["network_fingerprint"] == ours.fingerprint != other["fingerprint"]
    assert float32_fingerprint(other) == float32_fingerprint(ours.settings())


@pytest.mark.parametrize("runtime", ["torch", "openvino_int8"])
def test_unknown_runtimes_are_refused(runtime):
    message = rf"must be one of {', '.join(RUNTIMES)}, .*runtime='{runtime}'"
    with pytest.raises(DataError, match=message):
        build_frame_encoder(_SPEC, runtime, 32)


def test_features_of_int8_are_refused():
    settings = {"runtime": "openvino_int8", "network_fingerprint": "aa"}
    with pytest.raises(
        DataError, match=r"train again\. Received: runtime=openvino_int8"
    ):
        float32_fingerprint(settings)
