"""Weights of a vision network that Keras does not fetch: random ones, or a file's."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np

from dc_keras.errors import DataError

# Pixels less the ImageNet mean reach ±150; this is about their root mean square.
_PIXEL_RMS = 64.0
_NUM_RESIDUAL_BLOCKS = 16


def assign_random_weights(model: keras.Model, seed: int) -> None:
    """Draws weights that keep the scale of activations through VGG16 and ResNet50.

    Kernels are He normal and biases zero. The first kernel brings pixels to unit scale.
    The last normalisation of each residual block shrinks its branch: with random
    weights nothing else would stop the sum of 16 branches from growing. So embeddings
    stay within the tens, where float16 keeps three digits.

    Args:
        model: a network of keras.applications, from pixels less the ImageNet mean.
        seed: equal seeds give equal weights; no global random state is read or moved.
    """
    rng = np.random.default_rng(seed)
    scale = 1.0 / _PIXEL_RMS
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            shape = tuple(layer.kernel.shape)
            std = scale * math.sqrt(2.0 / math.prod(shape[:-1]))
            layer.kernel.assign(rng.standard_normal(shape, dtype=np.float32) * std)
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))
            scale = 1.0
        elif isinstance(layer, keras.layers.BatchNormalization):
            ends_block = layer.name.endswith("_3_bn")
            gain = 1.0 / math.sqrt(_NUM_RESIDUAL_BLOCKS) if ends_block else 1.0
            layer.gamma.assign(np.full(layer.gamma.shape, gain, np.float32))


def load_weight_file(model: keras.Model, file: str) -> None:
    """Loads a weight file into a model, all of it or an error.

    Args:
        model: the network, or its lower part.
        file: path of a legacy .h5 file (layers are found by name), or of a .weights.h5
            or .keras file of the same network. Layers above the model may be in it.

    Raises:
        DataError: there is no such file, it cannot be read, or it does not fit.
    """
    path = Path(file)
    if not path.is_file():
        raise DataError(
            "the vision weights must be imagenet, random, or a .h5, .weights.h5 or "
            f".keras file. Received: vision_weights={file!r} (no such file)"
        )
    # Loading by name leaves out what the file lacks without a word; a NaN stays behind.
    for weight in model.weights:
        weight.assign(np.full(weight.shape, np.nan, np.float32))
    is_legacy = path.suffix == ".h5" and not path.name.endswith(".weights.h5")
    try:
        model.load_weights(path, **({"by_name": True} if is_legacy else {}))
    except Exception as error:
        raise _misfit(model, file, " ".join(str(error).split())[:200]) from error
    for layer in model.layers:
        if any(np.isnan(weight).any() for weight in layer.get_weights()):
            raise _misfit(model, file, f"no weights for layer {layer.name}")


def _misfit(model: keras.Model, file: str, reason: str) -> DataError:
    return DataError(
        f"the weight file must be one of the network {model.name}, for its image size. "
        f"Received: vision_weights={file!r} ({reason})"
    )
