import gc
import random

import keras
import numpy as np
import pytest

from dc_keras.encoders.frame_batches import decode_frame
from dc_keras.encoders.vision import (
    FrameNormalization,
    VisionEncoder,
    VisionSpec,
    build_vision_encoder,
)
from dc_keras.errors import DataError

_COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (250, 250, 250), (10, 10, 10)]


def _build(name: str = "VGG16", layer: str = "avg", **changes) -> VisionEncoder:
    values = {"weights": "random", "image_size": 64, **changes}
    return build_vision_encoder(VisionSpec(name, layer, **values))


@pytest.fixture(scope="module")
def vgg16() -> VisionEncoder:
    return _build()


@pytest.fixture(scope="module")
def resnet50() -> VisionEncoder:
    return _build("ResNet50")


@pytest.mark.usefixtures("freed")
@pytest.mark.parametrize(
    ("name", "layer", "embedding_dim"),
    [
        ("VGG16", "avg", 512),
        # The last feature map is a 32nd of 64 px: 2 × 2 × 512 and 2 × 2 × 2048.
        ("VGG16", "flatten", 2048),
        ("VGG16", "fc1", 4096),
        pytest.param("VGG16", "fc2", 4096, marks=pytest.mark.long),
        ("ResNet50", "avg", 2048),
        ("ResNet50", "flatten", 8192),
    ],
)
def test_layers_have_the_width_they_are_known_for(name, layer, embedding_dim):
    encoder = _build(name, layer)
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    assert encoder.embedding_dim == embedding_dim
    assert encoder.model(frames).shape == (2, embedding_dim)
    assert encoder.model.output.dtype == "float32"
    assert encoder.model.input.dtype == "uint8"


def test_the_fully_connected_layers_are_built_only_when_asked_for(vgg16):
    names = [layer.name for layer in vgg16.model.layers]
    assert "block5_conv3" in names
    assert "fc1" not in names


@pytest.mark.usefixtures("freed")
@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_the_model_is_the_network_after_its_own_preprocessing(name, request):
    encoder = request.getfixturevalue(name)
    application = getattr(keras.applications, encoder.spec.name)
    preprocess = getattr(keras.applications, name).preprocess_input
    network = application(
        include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg"
    )
    network.set_weights(encoder.model.get_weights())
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = network(preprocess(frames.astype(np.float32)))
    np.testing.assert_allclose(encoder.model(frames), expected, rtol=1e-4, atol=1e-5)


def test_normalisation_swaps_channels_and_takes_the_imagenet_mean():
    layer = FrameNormalization("VGG16", 1)
    frames = np.array([[[[10, 20, 30]]]], np.uint8)
    # BGR less (103.939, 116.779, 123.68): 30 - 103.939, 20 - 116.779, 10 - 123.68.
    expected = [[[[-73.939, -96.779, -113.68]]]]
    np.testing.assert_allclose(layer(frames), expected, rtol=1e-5)


def test_frames_of_another_size_are_resized_bilinearly():
    layer = FrameNormalization("VGG16", 2)
    frames = np.repeat(np.arange(0, 160, 10, dtype=np.uint8), 3).reshape(1, 4, 4, 3)
    # Half the size: each output is the mean of 2 × 2 inputs, 25 + {0, 20, 80, 100}.
    blue = np.array([[25, 45], [105, 125]]) - 103.939
    np.testing.assert_allclose(layer(frames)[0, :, :, 0], blue, rtol=1e-5)


def test_an_unknown_size_at_the_door_changes_nothing(vgg16):
    frames = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), np.uint8)
    open_door = vgg16.model.get_layer("normalize")
    symbolic = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(symbolic, open_door(symbolic))
    np.testing.assert_array_equal(model(frames), open_door(frames))


@pytest.mark.usefixtures("freed")
@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_random_weights_distinguish_colours(name, request):
    encoder = request.getfixturevalue(name)
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 25, (len(_COLOURS), 3, 64, 64, 3))
    colours = np.array(_COLOURS)[:, None, None, None]
    frames = np.clip(colours + noise, 0, 255).astype(np.uint8)
    flat = encoder.model(frames.reshape(-1, 64, 64, 3)).numpy()
    embeddings = flat.reshape(len(_COLOURS), 3, -1)
    centres = embeddings.mean(axis=1)
    within = np.linalg.norm(embeddings - centres[:, None], axis=-1).mean()
    between = np.linalg.norm(centres[:, None] - centres, axis=-1)
    assert between[~np.eye(len(_COLOURS), dtype=bool)].min() > 5 * within
    # Far from the ends of float16, 6e-5 and 65504.
    assert 0.1 < np.sqrt((embeddings**2).mean()) < 100


@pytest.mark.usefixtures("freed")
def test_random_weights_follow_from_the_seed_alone(vgg16):
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    again = _build()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert again.fingerprint == vgg16.fingerprint
    assert _build(seed=1).fingerprint != vgg16.fingerprint


@pytest.mark.usefixtures("freed")
def test_a_weight_file_of_the_whole_network_gives_the_lower_part(tmp_path, vgg16):
    whole = keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=3)
    legacy = tmp_path / "vgg16.h5"
    whole.save(legacy)
    whole.save_weights(tmp_path / "vgg16.weights.h5")
    kernel = whole.get_layer("block3_conv2").kernel.numpy()
    del whole
    gc.collect()  # 400 MiB
    encoders = [
        _build(weights=str(legacy)),
        _build(weights=str(tmp_path / "vgg16.weights.h5")),
    ]
    for encoder in encoders:
        ours = encoder.model.get_layer("block3_conv2").kernel
        np.testing.assert_array_equal(ours, kernel)
    # Where the weights come from is no part of what the encoder is.
    assert encoders[0].fingerprint == encoders[1].fingerprint != vgg16.fingerprint


def test_weights_of_another_network_are_refused(tmp_path, resnet50):
    path = tmp_path / "resnet.weights.h5"
    resnet50.model.save_weights(path)
    with pytest.raises(DataError, match="must match the network VGG16_avg"):
        _build(weights=str(path))


def test_a_legacy_file_that_lacks_layers_is_refused(tmp_path):
    inputs = keras.Input((32, 32, 3))
    convolution = keras.layers.Conv2D(64, 3, padding="same", name="block1_conv1")
    keras.Model(inputs, convolution(inputs)).save(tmp_path / "part.h5")
    with pytest.raises(DataError, match="no weights for layer block1_conv2"):
        _build(weights=str(tmp_path / "part.h5"))


def test_a_file_that_is_no_weight_file_is_refused(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"weight file must match .*x\.h5"):
        _build(weights=str(tmp_path / "x.h5"))


def test_a_missing_weight_file_is_refused():
    with pytest.raises(DataError, match=r"imagenet, random, or a \.h5.*no such file"):
        _build(weights="nowhere.h5")


def test_unreachable_imagenet_weights_are_reported(monkeypatch):
    def unreachable(**kwargs):
        raise OSError("no route")

    monkeypatch.setattr(keras.applications, "VGG16", unreachable)
    message = r"provide the file with --vision_weights=FILE.*no route"
    with pytest.raises(DataError, match=message):
        _build(weights="imagenet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "VGG20"}, "such as VGG19, VGG16, .*vision='VGG20'"),
        ({"name": "Xception", "image_size": 70}, "of Xception must be at least 71 px"),
        ({"weights": "own"}, "weights of VGG16 must be imagenet, random, or a file"),
        ({"name": "ResNet50", "layer": "fc1"}, "layer of ResNet50 must be .*'fc1'"),
        ({"image_size": 31}, "at least 32 px.*image_size=31"),
        ({"layer": "fc2", "image_size": 64}, "needs an image size of 224 px"),
    ],
)
def test_invalid_specs_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        VisionSpec(**{"name": "VGG16", **changes})


def test_settings_travel(vgg16):
    settings = vgg16.settings()
    assert VisionSpec.from_settings(settings) == vgg16.spec
    assert settings["embedding_dim"] == 512
    assert settings["fingerprint"] == vgg16.fingerprint


def test_a_jpeg_is_decoded_as_rgb():
    import cv2

    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 255  # OpenCV's order is BGR.
    frame = decode_frame(cv2.imencode(".jpg", red)[1].tobytes()).numpy()
    assert frame.shape == (8, 8, 3)
    assert frame.dtype == np.uint8
    np.testing.assert_allclose(frame.mean(axis=(0, 1)), [254, 0, 0], atol=2)
