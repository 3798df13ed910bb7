"""Weights of a vision network that Keras does not fetch: random ones, or a file's."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np

from dc_keras.errors import DataError


def assign_random_weights(model: keras.Model, seed: int, pixel_rms: float) -> None:
    """Draws weights that keep the scale of activations through a network.

    Kernels are He normal and biases zero. The first kernel brings pixels to unit scale.
    The last normalisation or kernel of each residual branch is shrunk: with random
    weights nothing else would stop the sum of the branches from growing. So embeddings
    stay within the tens, where float16 keeps three digits.

    Args:
        model: a network that takes frames.
        seed: equal seeds give equal weights; no global random state is read or moved.
        pixel_rms: root mean square of what reaches the first kernel.
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
            scale *= 2.0  # A gate is a sigmoid, about a half.
        for kernel, fan_in in _kernels(layer):
            std = scale * gain * math.sqrt(2.0 / fan_in)
            shape = tuple(kernel.shape)
            kernel.assign(rng.standard_normal(shape, dtype=np.float32) * std)
            scale = 1.0
        if _kernels(layer) and layer.bias is not None:
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers of a model, those of models inside it in their place."""
    found: list[keras.layers.Layer] = []
    for layer in model.layers:
        is_model = isinstance(layer, keras.Model)
        found += _all_layers(layer) if is_model else [layer]
    return found


def _kernels(layer: keras.layers.Layer) -> list[tuple[keras.Variable, int]]:
    """Returns the kernels of a layer, each with the number of inputs of an output."""
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
    """Returns how many pixels of a channel a depthwise kernel sees, padding left out.

    Small images end in maps of one pixel, of which a kernel of 5 × 5 sees one.
    """
    sides = zip(layer.kernel_size, layer.input.shape[1:3], strict=True)
    return math.prod(
        kernel if side is None else min(kernel, side) for kernel, side in sides
    )


def _branch_ends(model: keras.Model) -> set[keras.layers.Layer]:
    """Returns the last layer with weights of each residual branch.

    Of the inputs of an `Add`, the branch is the one with most layers with weights below
    it; the others are shortcuts. What has several readers is no branch's end.
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
