import json
from dataclasses import dataclass

import cv2
import keras
import numpy as np
import pytest

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
pytest.importorskip("nncf", reason="the extra `openvino` is not installed")

from dc_keras.encoders.frame_batches import embed_jpegs
from dc_keras.encoders.openvino_encoder import (
    OpenVinoEncoder,
    read_int8_encoder,
)
from dc_keras.encoders.quantization import (
    draw_frames,
    int8_directory,
    write_int8_model,
)
from dc_keras.encoders.registry import import_encoders
from dc_keras.encoders.vision import (
    VisionEncoder,
    VisionSpec,
    build_vision_encoder,
)
from dc_keras.errors import DataError

_SIZE = 32


@dataclass(frozen=True)
class _Post:
    video_id: str
    jpegs: tuple[bytes, ...]


@pytest.fixture(scope="module")
def frames():
    """Smooth frames of many colours, of 60 posts."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 4, 4, 3), np.uint8)
    images = [
        cv2.resize(c, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC) for c in coarse
    ]
    jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]
    return draw_frames(_Post(str(n), (jpeg,)) for n, jpeg in enumerate(jpegs))


@pytest.fixture(
    scope="module",
    params=["tiny_frames", pytest.param("VGG16", marks=pytest.mark.long)],
)
def spec(request):
    import_encoders(["tiny_encoders"])
    return VisionSpec(request.param, weights="random", image_size=_SIZE)


@pytest.fixture(scope="module")
def network(spec):
    return build_vision_encoder(spec)


@pytest.fixture(scope="module")
def written(network, frames, tmp_path_factory):
    directory = tmp_path_factory.mktemp("features") / "int8-one"
    return directory, write_int8_model(directory, network, _SIZE, frames)


def _make_ruined():
    """A network of which int8 leaves little: a channel of its own fills the range.

    Its first layer gives a colour, and 10,000 times as much; its second one keeps the
    colour alone.
    """
    inputs = keras.Input((None, None, 3), dtype="uint8")
    pixels = keras.ops.cast(inputs, "float32") / 255.0
    first = keras.layers.Conv2D(4, 3, padding="same", activation="relu")
    second = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
    maps = second(first(pixels))
    embedding = keras.layers.GlobalAveragePooling2D()(maps)
    model = keras.Model(inputs, embedding)
    kernels = np.zeros((3, 3, 3, 4), np.float32), np.zeros((3, 3, 4, 3), np.float32)
    for colour in range(3):
        kernels[0][1, 1, colour, colour] = 1.0
        kernels[0][1, 1, colour, 3] = 10_000.0
        kernels[1][1, 1, colour, colour] = 1.0
    first.set_weights([kernels[0], np.zeros(4, np.float32)])
    second.set_weights([kernels[1], np.zeros(3, np.float32)])
    spec = VisionSpec("VGG16", weights="random", image_size=_SIZE)
    return VisionEncoder(spec, model, 3, "of a test")


def _embed(encoder, jpegs):
    return embed_jpegs(
        jpegs,
        encoder.inference(_SIZE),
        embedding_dim=encoder.embedding_dim,
        size=_SIZE,
        batch_size=4,
    )


def test_embeddings_keep_their_direction(network, frames, written):
    directory, vision = written
    encoder = read_int8_encoder(directory)
    ours, theirs = _embed(encoder, frames.held_out), _embed(network, frames.held_out)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = (ours * theirs).sum(axis=1) / norms
    judged = vision["calibration"]
    assert judged["smallest_cosine"] == pytest.approx(cosines.min(), abs=1e-5)
    assert judged["mean_cosine"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert 0.99 <= judged["smallest_cosine"] <= judged["mean_cosine"] < 0.99999
    # Int8 it is: a network in float32 would agree to the sixth digit.
    types = {op.get_type_name() for op in encoder.network.get_ops()}
    assert "FakeQuantize" in types


def test_settings_contain_the_calibration_frames(network, frames, written):
    directory, vision = written
    assert read_int8_encoder(directory).settings() == vision
    assert json.loads(json.dumps(vision)) == vision
    assert VisionSpec.from_settings(vision) == network.spec
    assert vision["runtime"] == "openvino_int8"
    assert vision["network_fingerprint"] == network.fingerprint
    calibration = vision["calibration"]
    assert calibration["num_frames"] == len(frames.calibration)
    assert calibration["num_held_out"] == len(frames.held_out)
    assert (calibration["seed"], calibration["sha256"]) == (0, frames.sha256)


def test_the_same_frames_give_the_same_fingerprint_and_others_another(
    spec, frames, written, tmp_path
):
    _, vision = written
    again, other = (
        write_int8_model(
            tmp_path / name,
            build_vision_encoder(spec),
            _SIZE,
            drawn,
        )
        for name, drawn in (
            ("again", frames),
            ("other", type(frames)(frames.held_out, frames.calibration, 0)),
        )
    )
    assert again == vision
    assert (
        other["fingerprint"] != vision["fingerprint"] != vision["network_fingerprint"]
    )


def test_a_network_that_int8_ruins_is_refused(frames, tmp_path):
    message = (
        r"a cosine of at least 0\.99; use --vision_runtime=openvino\. "
        rf"Received: smallest cosine -?0\.\d+ of {len(frames.held_out)} frames"
    )
    with pytest.raises(DataError, match=message) as caught:
        write_int8_model(tmp_path / "out" / "int8-x", _make_ruined(), _SIZE, frames)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("int8", "float32", "smallest"),
    [
        (np.nan, 1.0, "nan"),
        (1.0, np.nan, "nan"),
        (0.0, 1.0, "0.0000"),
        (1.0, 0.0, "0.0000"),
    ],
)
def test_an_embedding_without_a_direction_is_refused(
    frames, tmp_path, monkeypatch, int8, float32, smallest
):
    _plant(monkeypatch, int8, float32)
    with pytest.raises(DataError, match=rf"smallest cosine {smallest} of"):
        write_int8_model(tmp_path / "int8-x", _make_ruined(), _SIZE, frames)


def test_a_frame_with_zero_embeddings_in_both_is_accepted(
    frames, tmp_path, monkeypatch
):
    _plant(monkeypatch, 0.0, 0.0)
    vision = write_int8_model(tmp_path / "int8-x", _make_ruined(), _SIZE, frames)
    assert vision["calibration"]["smallest_cosine"] == 1.0


def _plant(monkeypatch, *values):
    """Makes the embeddings of both networks constant, int8's first."""
    planted = iter(values)

    def embed(jpegs, *_, **__):
        return np.full((len(jpegs), 3), next(planted), np.float32)

    monkeypatch.setattr("dc_keras.encoders.quantization.embed_jpegs", embed)


def test_networks_of_other_frames_go(frames, tmp_path, monkeypatch):
    _plant(monkeypatch, 1.0, 1.0)
    for name in ("int8-old", "another"):
        (tmp_path / name).mkdir()
    write_int8_model(tmp_path / "int8-new", _make_ruined(), _SIZE, frames)
    assert {path.name for path in tmp_path.iterdir()} == {"int8-new", "another"}


def test_a_file_that_changed_is_refused(network, written, tmp_path):
    directory, _ = written
    for path in directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert isinstance(read_int8_encoder(tmp_path), OpenVinoEncoder)
    content = bytearray((tmp_path / "network.bin").read_bytes())
    content[100] ^= 1
    (tmp_path / "network.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"remove it to .* Received: another sha256"):
        read_int8_encoder(tmp_path)


def test_the_place_is_that_of_network_and_frames(network, tmp_path):
    other = VisionEncoder(network.spec, network.model, 512, "other weights")
    places = {
        int8_directory(tmp_path, network, 32, ["a", "b"]),
        int8_directory(tmp_path, network, 32, ["a", "c"]),
        int8_directory(tmp_path, network, 64, ["a", "b"]),
        int8_directory(tmp_path, other, 32, ["a", "b"]),
    }
    assert len(places) == 4
    assert int8_directory(tmp_path, network, 32, ["a", "b"]) in places
    assert {place.parent for place in places} == {tmp_path}
