import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")

from dc_keras.encoders.openvino_encoder import (
    convert_encoder,
    read_int8_encoder,
)
from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
from dc_keras.errors import DataError

_SIZE = 32


def _build(name="VGG16", image_size=_SIZE, **changes):
    return build_vision_encoder(
        VisionSpec(name, weights="random", image_size=image_size, **changes)
    )


@pytest.fixture(scope="module")
def vgg16():
    return _build()


@pytest.fixture(scope="module")
def converted(vgg16):
    return convert_encoder(vgg16, _SIZE)


def _batches(*sizes, frame_size=_SIZE):
    rng = np.random.default_rng(0)
    return [
        tf.constant(rng.integers(0, 256, (n, frame_size, frame_size, 3), np.uint8))
        for n in sizes
    ]


@pytest.mark.parametrize(
    ("name", "layer", "image_size"),
    [
        ("VGG16", "avg", _SIZE),
        ("VGG16", "fc2", _SIZE),
        pytest.param("ResNet50", "avg", _SIZE, marks=pytest.mark.long),
        # Frames of another size are resized inside the network.
        ("VGG16", "avg", 48),
    ],
)
def test_float32_is_that_of_tensorflow(name, layer, image_size):
    encoder = _build(name, image_size, layer=layer)
    batches = _batches(5, 5, 2)
    expected = np.concatenate(list(encoder.inference(_SIZE)(batches)))
    ours = np.concatenate(
        list(convert_encoder(encoder, _SIZE).inference(_SIZE)(batches))
    )
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes", [(), (1,), (3, 3, 3, 3, 3, 3, 3, 1)])
def test_batches_come_back_in_order(vgg16, converted, sizes):
    batches = _batches(*sizes)
    embedded = list(converted.inference(_SIZE)(batches))
    assert [len(rows) for rows in embedded] == list(sizes)
    for rows, batch in zip(embedded, batches, strict=True):
        np.testing.assert_allclose(rows, vgg16.model(batch), rtol=1e-4, atol=1e-4)


def test_a_frame_is_embedded_alike_in_every_batch(converted):
    (batch,) = _batches(7)
    inference = converted.inference(_SIZE)
    together = np.concatenate(list(inference([batch])))
    alone = np.concatenate(list(inference([batch[i : i + 1] for i in range(7)])))
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    again = np.concatenate(list(inference([batch])))
    np.testing.assert_array_equal(together, again)


def test_a_batch_that_breaks_leaves_the_network_usable(converted):
    inference = converted.inference(_SIZE)

    def broken():
        yield from _batches(4, 4)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(inference(broken()))
    assert [len(rows) for rows in inference(_batches(4, 4, 4))] == [4, 4, 4]


def test_settings_contain_the_runtime(vgg16, converted):
    settings = converted.settings()
    assert VisionSpec.from_settings(settings) == vgg16.spec
    assert settings["runtime"] == "openvino"
    assert settings["network_fingerprint"] == vgg16.fingerprint
    assert settings["fingerprint"] != vgg16.fingerprint
    assert settings["embedding_dim"] == converted.embedding_dim == 512


def test_the_fingerprint_follows_from_the_network(vgg16, converted):
    again = convert_encoder(_build(), _SIZE)
    other = convert_encoder(_build(seed=1), _SIZE)
    prints = [e.settings()["fingerprint"] for e in (converted, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_invalid_quantised_networks_are_refused(tmp_path):
    with pytest.raises(DataError, match="must contain a quantised network"):
        read_int8_encoder(tmp_path / "nowhere")
    (tmp_path / "encoder.json").write_text("[]", "utf-8")
    with pytest.raises(DataError, match="must contain a quantised network"):
        read_int8_encoder(tmp_path)


def _run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_telemetry_is_disabled():
    done = _run(
        "import dc_keras.encoders.quantization, nncf, sys\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "from nncf.telemetry.wrapper import NNCFTelemetry, telemetry\n"
        "print(sys.modules['openvino_telemetry'], isinstance(telemetry, NNCFTelemetry))\n"
        "print(telemetry_utils.tm.__name__)\n"
    )
    assert done.stdout.split() == [
        "None",
        "False",
        "openvino.tools.ovc.telemetry_stub",
    ], done.stderr


def test_a_missing_extra_is_reported():
    done = _run(
        "import sys\n"
        "sys.modules['openvino'] = None\n"
        "from dc_keras.errors import DataError\n"
        "try:\n"
        "    import dc_keras.encoders.openvino_encoder\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    assert done.stdout == (
        "--vision_runtime=openvino and openvino_int8 need OpenVINO: "
        "pip install 'dc_keras[openvino]'\n"
    ), done.stderr
