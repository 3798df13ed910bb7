"""Vision encoders of frames (PAPER choices 1, 2 and 7; IV-A, IV-B).

The paper uses VGG16 and ResNet50; every network of `registry` is supported. The model
includes the network's normalisation, so that it is applied once and everywhere alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.frame_batches import Inference, as_graph, frame_spec
from dc_keras.encoders.hub import one_line
from dc_keras.encoders.registry import (
    APPLICATIONS,
    Application,
    OwnEncoder,
    find_vision,
    fixed_seeds,
)
from dc_keras.encoders.vision_weights import assign_random_weights, load_weight_file
from dc_keras.errors import DataError

# Part of every fingerprint. Increase it when the same frames give other embeddings.
PREPROCESSING_VERSION = 1

TENSORFLOW, OPENVINO = "tensorflow", "openvino"
_IMAGENET_IMAGE_PX = 224


@dataclass(frozen=True)
class VisionSpec:
    """Description of a vision encoder, as JSON values.

    Attributes:
        name: name of a network of keras.applications, or of a registered network.
        layer: "avg" (spatial mean of the last feature map: 512 for VGG16, 2048 for
            ResNet50), "flatten" (that map as a vector), and for VGG16 and VGG19 "fc1"
            or "fc2" (4096). A registered network that returns a vector has only "avg".
        weights: "imagenet" (downloaded by Keras), "own" (the weights of a registered
            network), "random" (drawn from `seed`), or the path of a .h5, .weights.h5,
            .keras or .pth file of the same network. "" is "imagenet" for
            keras.applications and "own" for a registered network.
        image_size: width and height of the network's input in px, for most networks at
            least 32.
        seed: seed of random weights.
        module: the module that registers the network; None for keras.applications. It
            is set automatically for a network that is registered already.

    Raises:
        DataError: an attribute has another value, or `fc1` or `fc2` is combined with
            ImageNet weights and another image size than 224.
    """

    name: str
    layer: str = "avg"
    weights: str = ""
    image_size: int = _IMAGENET_IMAGE_PX
    seed: int = 0
    module: str | None = None

    def __post_init__(self) -> None:
        network = find_vision(self.name, self.module)
        if isinstance(network, OwnEncoder):
            default, other, module = "own", "imagenet", network.module
            layers: tuple[str, ...] = ("avg", "flatten")
            smallest = 1
        else:
            default, other, module = "imagenet", "own", None
            layers = ("avg", *network.dense_layers, "flatten")
            smallest = network.smallest_image
        object.__setattr__(self, "weights", self.weights or default)
        object.__setattr__(self, "module", module)
        if self.layer not in layers:
            raise DataError(
                f"the layer of {self.name} must be one of {', '.join(layers)}. "
                f"Received: layer={self.layer!r}"
            )
        if self.image_size < smallest:
            raise DataError(
                f"`image_size` of {self.name} must be at least {smallest} px. "
                f"Received: image_size={self.image_size}"
            )
        if self.weights == other:
            raise DataError(
                f"the weights of {self.name} must be {default}, random, or a file. "
                f"Received: weights={self.weights!r}"
            )
        needs_whole_image = self.has_top and self.weights == "imagenet"
        if needs_whole_image and self.image_size != _IMAGENET_IMAGE_PX:
            raise DataError(
                f"`{self.layer}` with ImageNet weights needs an image size of "
                f"{_IMAGENET_IMAGE_PX} px; `avg` takes any. "
                f"Received: image_size={self.image_size}"
            )

    @property
    def network(self) -> Application | OwnEncoder:
        """The registry's entry."""
        return find_vision(self.name, self.module)

    @property
    def has_top(self) -> bool:
        """Whether the layer is a fully connected layer."""
        return self.layer in ("fc1", "fc2")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> VisionSpec:
        """Returns the spec of a manifest's `vision` settings."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: settings[name] for name in names if name in settings})


@dataclass(frozen=True)
class VisionEncoder:
    """A built vision encoder.

    Attributes:
        spec: the description that it was built from.
        model: model from uint8 RGB (batch_size, height, width, 3) of any size to
            float32 (batch_size, embedding_dim).
        embedding_dim: width of an embedding.
        fingerprint: SHA-256, in hex, of network, layer, image size, preprocessing
            version and weights, but not of the source of the weights.
    """

    spec: VisionSpec
    model: keras.Model
    embedding_dim: int
    fingerprint: str

    def settings(self) -> dict[str, Any]:
        """Returns the settings of this encoder for a manifest."""
        spec = {k: v for k, v in asdict(self.spec).items() if v is not None}
        return {
            **spec,
            "fingerprint": self.fingerprint,
            "embedding_dim": self.embedding_dim,
        }

    def inference(self, frame_size: int) -> Inference:
        """Returns the function that embeds batches of frames with TensorFlow."""
        step = as_graph(self.model, frame_spec(frame_size))
        return lambda batches: (step(batch).numpy() for batch in batches)


class FrameNormalization(keras.layers.Layer):
    """Resizes frames bilinearly and applies the normalisation of a network.

    Args:
        network: name of the network. Networks outside keras.applications normalise
            pixels themselves.
        image_size: width and height of the output in px. Frames of this size are not
            resampled.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        frames: uint8 RGB (batch_size, height, width, 3).

    Returns:
        float32 (batch_size, image_size, image_size, 3): for VGG16 and ResNet50, BGR
        minus the ImageNet mean, about -124 to 151; for a network that normalises pixels
        itself, RGB from 0 to 255.
    """

    def __init__(self, network: str, image_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.image_size = image_size

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        """Normalises frames; see the class."""
        pixels = keras.ops.cast(frames, "float32")
        size = (self.image_size, self.image_size)
        if tuple(frames.shape[1:3]) != size:
            pixels = keras.ops.image.resize(pixels, size, interpolation="bilinear")
        if self.network not in APPLICATIONS:
            return pixels
        module = getattr(keras.applications, APPLICATIONS[self.network].module)
        return module.preprocess_input(pixels, data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns (batch_size, image_size, image_size, 3)."""
        return (input_shape[0], self.image_size, self.image_size, 3)


def build_vision_encoder(spec: VisionSpec) -> VisionEncoder:
    """Builds a vision encoder. The layers of the network keep their names.

    Raises:
        DataError: the ImageNet weights cannot be downloaded.
        DataError: a registered function fails, or returns another kind of model.
        DataError: the weight file is missing, unreadable or for another network.
    """
    with fixed_seeds():
        model = _build_model(spec)
    _assign_weights(model, spec)
    identity = {
        "preprocessing": PREPROCESSING_VERSION,
        "name": spec.name,
        "layer": spec.layer,
        "image_size": spec.image_size,
    }
    return VisionEncoder(
        spec=spec,
        model=model,
        embedding_dim=int(model.output_shape[-1]),
        fingerprint=fingerprint(identity, model.weights),
    )


def _assign_weights(model: keras.Model, spec: VisionSpec) -> None:
    """Assigns the weights of a spec, unless the model was built with them."""
    network = spec.network
    if spec.weights == "random":
        rms = network.pixel_rms if isinstance(network, Application) else 1.0
        assign_random_weights(model, spec.seed, rms)
    elif spec.weights == "own":
        if isinstance(network, OwnEncoder) and network.weights is not None:
            load_weight_file(model, str(network.weights()))
    elif spec.weights != "imagenet":
        load_weight_file(model, spec.weights)


def _build_model(spec: VisionSpec) -> keras.Model:
    frames = keras.Input((None, None, 3), dtype="uint8", name="frames")
    pixels = FrameNormalization(spec.name, spec.image_size, name="normalize")(frames)
    network = spec.network
    if isinstance(network, Application):
        model = _build_application(spec, pixels)
        output = model.get_layer(spec.layer).output if spec.has_top else model.output
    else:
        output = _build_registered(network, spec.image_size)(pixels)
    if len(output.shape) == 4:
        join = (
            keras.layers.GlobalAveragePooling2D(name="avg")
            if spec.layer == "avg"
            else keras.layers.Flatten(name="flatten")
        )
        output = join(output)
    return keras.Model(frames, output, name=f"{spec.name}_{spec.layer}")


def _build_application(spec: VisionSpec, pixels: Any) -> keras.Model:
    try:
        return getattr(keras.applications, spec.name)(
            include_top=spec.has_top,
            weights="imagenet" if spec.weights == "imagenet" else None,
            input_tensor=pixels,
        )
    except Exception as error:
        if spec.weights != "imagenet":
            raise
        raise DataError(
            f"cannot download the ImageNet weights of {spec.name}. Offline, provide "
            "the file with --vision_weights=FILE, or use --vision_weights=random. "
            f"Received: weights='imagenet' ({error})"
        ) from error


def _build_registered(network: OwnEncoder, image_size: int) -> keras.Model:
    try:
        model = network.build(image_size)
        shape = model.compute_output_shape((None, image_size, image_size, 3))
    except Exception as error:
        raise DataError(
            f"the function that registers {network.name} must return a Keras model for "
            f"images of {image_size} px. Received: {one_line(error)}"
        ) from error
    if len(shape) not in (2, 4) or shape[-1] is None:
        raise DataError(
            f"the network {network.name} must return a feature map (batch_size, "
            "height, width, channels) or a vector (batch_size, dim). "
            f"Received: shape={shape}"
        )
    return model


def float32_fingerprint(settings: Mapping[str, Any]) -> str:
    """Returns the fingerprint of the Keras network that features are equivalent to.

    OpenVINO in float32 and TensorFlow differ by less than the precision of float16, so
    their features are interchangeable. Features in int8 differ more: the scores would
    not be those that were validated.

    Raises:
        DataError: the features were made in int8.
    """
    runtime = settings.get("runtime", TENSORFLOW)
    if runtime == TENSORFLOW:
        return str(settings["fingerprint"])
    if runtime == OPENVINO:
        return str(settings["network_fingerprint"])
    raise DataError(
        "a bundle embeds frames in float32, so its model must be trained on features "
        "in float32: extract them with --vision_runtime=tensorflow or openvino, and "
        f"train again. Received: runtime={runtime}"
    )
