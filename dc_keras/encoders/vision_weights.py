"""Assigns random weights, or the weights of a file, to a vision network."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dc_keras.encoders.torch_file import read_torch_tensors
from dc_keras.errors import DataError

_OF_BATCH_NORMALIZATION = ("weight", "bias", "running_mean", "running_var")


def assign_random_weights(model: keras.Model, seed: int, pixel_rms: float) -> None:
    """Draws random weights that preserve the scale of activations.

    Kernels are He normal and biases zero. The first kernel scales pixels to unit
    variance. The last normalisation or kernel of each residual branch is scaled down,
    because the sum of random branches would otherwise grow with depth. Embeddings
    therefore stay below 100, where float16 has three digits.
    """
    rng = np.random.default_rng(seed)
    ends = _branch_ends(model)
    shrunk = 1.0 / math.sqrt(max(len(ends), 1))
    scale = 1.0 / pixel_rms
    for layer in _all_layers(model):
        gain = shrunk if layer in ends else 1.0
        if isinstance(layer, keras.layers.BatchNormalization):
            if layer.scale:
                layer.gamma.assign(np.full(layer.gamma.shape, gain, np.float32))
        elif isinstance(layer, keras.layers.Multiply):
            scale *= 2.0  # The gate is a sigmoid, about 0.5.
        for kernel, fan_in in _kernels(layer):
            std = scale * gain * math.sqrt(2.0 / fan_in)
            shape = tuple(kernel.shape)
            kernel.assign(rng.standard_normal(shape, dtype=np.float32) * std)
            scale = 1.0
        if _kernels(layer) and layer.bias is not None:
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model, with nested models replaced by their layers."""
    layers: list[keras.layers.Layer] = []
    for layer in model.layers:
        is_model = isinstance(layer, keras.Model)
        layers += _all_layers(layer) if is_model else [layer]
    return layers


def _kernels(layer: keras.layers.Layer) -> list[tuple[keras.Variable, int]]:
    """Returns the kernels of a layer, each with its fan-in."""
    if isinstance(layer, keras.layers.SeparableConv2D):
        depthwise, pointwise = layer.depthwise_kernel, layer.pointwise_kernel
        return [
            (depthwise, _num_taps(layer)),
            (pointwise, pointwise.shape[2]),
        ]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return [(layer.kernel, _num_taps(layer))]
    if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
        return [(layer.kernel, math.prod(layer.kernel.shape[:-1]))]
    return []


def _num_taps(layer: keras.layers.Layer) -> int:
    """Returns how many pixels of a channel a depthwise kernel covers, without padding.

    The feature maps of small images may have one pixel, also for a kernel of 5 × 5.
    """
    sides = zip(layer.kernel_size, layer.input.shape[1:3], strict=True)
    return math.prod(
        kernel if side is None else min(kernel, side) for kernel, side in sides
    )


def _branch_ends(model: keras.Model) -> set[keras.layers.Layer]:
    """Returns the last layer with weights of each residual branch.

    The branch is the input of an `Add` with the most layers with weights below it; the
    other inputs are shortcuts. A layer with several outputs does not end a branch.
    """
    depths: dict[int, int] = {}
    last: dict[int, keras.layers.Layer | None] = {}
    ends = set()
    for layer in _all_layers(model):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        below = [
            tensor._keras_history.operation
            for node in layer._inbound_nodes[:1]
            for tensor in node.input_tensors
        ]
        deepest = max(below, key=lambda one: depths.get(id(one), 0), default=None)
        depths[id(layer)] = depths.get(id(deepest), 0) + bool(layer.weights)
        is_read_once = deepest is not None and len(deepest._outbound_nodes) == 1
        end = last.get(id(deepest)) if is_read_once else None
        if isinstance(layer, keras.layers.Add):
            ends |= {end} - {None}
        is_normal = isinstance(layer, keras.layers.BatchNormalization)
        last[id(layer)] = layer if is_normal or _kernels(layer) else end
    return ends


def load_weight_file(model: keras.Model, file: str) -> None:
    """Loads all weights of a model from a file.

    Args:
        model: the network, or its lower part.
        file: path of a .weights.h5 or .keras file of the same network, or of a legacy
            .h5 file or a PyTorch .pth file, whose layers are matched by name. The file
            may have more layers.

    Raises:
        DataError: the file does not exist, cannot be read, or does not fit the model.
    """
    path = Path(file)
    if not path.is_file():
        raise DataError(
            "the vision weights must be imagenet, random, or a .h5, .weights.h5, "
            f".keras or .pth file. Received: vision_weights={file!r} (no such file)"
        )
    # Loading by name silently skips missing layers; they keep NaN.
    for weight in model.weights:
        weight.assign(np.full(weight.shape, np.nan, np.float32))
    is_legacy = path.suffix == ".h5" and not path.name.endswith(".weights.h5")
    try:
        if path.suffix == ".pth":
            _load_torch_file(model, path)
        else:
            model.load_weights(path, **({"by_name": True} if is_legacy else {}))
    except Exception as error:
        raise _misfit(model, file, " ".join(str(error).split())[:200]) from error
    for layer in model.layers:
        if any(np.isnan(weight).any() for weight in layer.get_weights()):
            raise _misfit(model, file, f"no weights for layer {layer.name}")


def _load_torch_file(model: keras.Model, path: Path) -> None:
    """Assigns the weights of a PyTorch file to the layers of the same names.

    Layers are named as the modules of PyTorch, without underscores at the start of a
    name: "blocks.0.bn1" for "_blocks.0._bn1".
    """
    tensors = {
        re.sub(r"(^|\.)_+", r"\1", name): tensor
        for name, tensor in read_torch_tensors(path).items()
    }
    for layer in _all_layers(model):
        if f"{layer.name}.weight" in tensors:
            layer.set_weights(_arrange(layer, tensors))


def _arrange(
    layer: keras.layers.Layer, tensors: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """Returns the weights of a layer in Keras's order and layout."""

    def tensor(name: str) -> Any:
        return tensors[f"{layer.name}.{name}"]

    if isinstance(layer, keras.layers.BatchNormalization):
        return [tensor(name) for name in _OF_BATCH_NORMALIZATION]
    kernel = tensor("weight")
    if kernel.ndim == 4:
        # (out, in, height, width); a depthwise kernel has `in` 1, and multiplies `out`.
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        kernel = kernel.transpose(2, 3, *((0, 1) if is_depthwise else (1, 0)))
    else:
        kernel = kernel.T
    return [kernel, tensor("bias")] if layer.use_bias else [kernel]


def _misfit(model: keras.Model, file: str, reason: str) -> DataError:
    return DataError(
        f"the weight file must match the network {model.name} and its image size. "
        f"Received: vision_weights={file!r} ({reason})"
    )
