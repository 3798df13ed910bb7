"""From frames to embeddings: VGG16 and ResNet50 (PAPER choices 1, 2 and 7; IV-A, IV-B).

The network's own normalisation is part of the model, so it happens once and everywhere
in the same way.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.inference import Inference, as_graph, frame_spec
from dc_keras.encoders.vision_weights import assign_random_weights, load_weight_file
from dc_keras.errors import DataError

# Part of every fingerprint: raise it when the same frames would give other embeddings.
PREPROCESSING_VERSION = 1

_LAYERS = {
    "VGG16": ("avg", "fc1", "fc2", "flatten"),
    "ResNet50": ("avg", "flatten"),
}
_APPLICATIONS = {
    "VGG16": keras.applications.VGG16,
    "ResNet50": keras.applications.ResNet50,
}
_PREPROCESS = {
    "VGG16": keras.applications.vgg16.preprocess_input,
    "ResNet50": keras.applications.resnet50.preprocess_input,
}
_LAST_FEATURE_MAP = {"VGG16": "block5_pool", "ResNet50": "conv5_block3_out"}
_DOWNLOADS = "https://storage.googleapis.com/tensorflow/keras-applications"
_WEIGHT_FILES = {
    "VGG16": f"{_DOWNLOADS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels",
    "ResNet50": f"{_DOWNLOADS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels",
}
# Both networks' feature maps are a 32nd of the image.
_SMALLEST_IMAGE_PX = 32
_IMAGENET_IMAGE_PX = 224


@dataclass(frozen=True)
class VisionSpec:
    """Which vision encoder; plain values, so that it travels as JSON.

    Attributes:
        name: "VGG16" or "ResNet50" of keras.applications.
        layer: "avg" (mean of the last feature map over space: 512 for VGG16, 2048 for
            ResNet50), "flatten" (that map as a vector), and for VGG16 "fc1" or "fc2"
            (4096).
        weights: "imagenet" (fetched by Keras), "random" (from `seed`), or the path of a
            .h5, .weights.h5 or .keras file of the same network.
        image_size: side of the network's input in px, at least 32.
        seed: seed of random weights.

    Raises:
        DataError: an attribute is none of the above, or `fc1`/`fc2` are asked of
            ImageNet weights at another size than 224.
    """

    name: str
    layer: str = "avg"
    weights: str = "imagenet"
    image_size: int = _IMAGENET_IMAGE_PX
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in _LAYERS:
            raise DataError(
                f"the vision encoder must be one of {', '.join(_LAYERS)}. "
                f"Received: vision={self.name!r}"
            )
        if self.layer not in _LAYERS[self.name]:
            raise DataError(
                f"the layer of {self.name} must be one of "
                f"{', '.join(_LAYERS[self.name])}. Received: layer={self.layer!r}"
            )
        if self.image_size < _SMALLEST_IMAGE_PX:
            raise DataError(
                f"`image_size` must be at least {_SMALLEST_IMAGE_PX} px. "
                f"Received: image_size={self.image_size}"
            )
        if (
            self.has_top
            and self.weights == "imagenet"
            and self.image_size != _IMAGENET_IMAGE_PX
        ):
            raise DataError(
                f"`{self.layer}` with ImageNet weights needs an image size of "
                f"{_IMAGENET_IMAGE_PX} px; `avg` takes any. "
                f"Received: image_size={self.image_size}"
            )

    @property
    def has_top(self) -> bool:
        """Whether the layer is one of the fully connected ones."""
        return self.layer in ("fc1", "fc2")

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> VisionSpec:
        """Returns the spec inside a manifest's `vision` settings."""
        return cls(**{field.name: settings[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class VisionEncoder:
    """A built vision encoder.

    Attributes:
        spec: what it was built from.
        model: uint8 RGB (batch_size, height, width, 3) of any size → float32
            (batch_size, embedding_dim).
        embedding_dim: width of an embedding.
        fingerprint: sha256 hex over network, layer, image size, preprocessing version
            and the bytes of the weights; not over where the weights came from.
    """

    spec: VisionSpec
    model: keras.Model
    embedding_dim: int
    fingerprint: str

    def settings(self) -> dict[str, Any]:
        """Returns what a manifest says about this encoder."""
        return {
            **asdict(self.spec),
            "fingerprint": self.fingerprint,
            "embedding_dim": self.embedding_dim,
        }

    def inference(self, frame_size: int) -> Inference:
        """Returns what embeds batches of frames, by TensorFlow.

        Args:
            frame_size: side of the frames in px.
        """
        step = as_graph(self.model, frame_spec(frame_size))
        return lambda batches: (step(batch).numpy() for batch in batches)


@keras.saving.register_keras_serializable(package="dc_keras")
class FrameNormalization(keras.layers.Layer):
    """Resizes frames bilinearly and normalises them as a network was trained with.

    Args:
        network: "VGG16" or "ResNet50".
        image_size: side of the output in px. Frames of this size are not resampled.
        **kwargs: `name` and the other arguments of a Keras layer.

    Call arguments:
        frames: uint8 RGB (batch_size, height, width, 3).

    Returns:
        float32 (batch_size, image_size, image_size, 3), BGR less the ImageNet mean,
        about -124 to 151.
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
        return _PREPROCESS[self.network](pixels, data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Returns (batch_size, image_size, image_size, 3)."""
        return (input_shape[0], self.image_size, self.image_size, 3)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = {"network": self.network, "image_size": self.image_size}
        return {**super().get_config(), **config}


def decode_frame(jpeg: tf.Tensor) -> tf.Tensor:
    """Decodes one JPEG, in the one way that extraction and serving share.

    Args:
        jpeg: string (), the bytes of a JPEG.

    Returns:
        uint8 RGB (height, width, 3).
    """
    return tf.io.decode_jpeg(jpeg, channels=3, dct_method="INTEGER_ACCURATE")


def build_vision_encoder(spec: VisionSpec) -> VisionEncoder:
    """Builds a vision encoder; the layers of the network keep their names.

    Raises:
        DataError: the ImageNet weights cannot be fetched.
        DataError: the weight file is missing, unreadable or of another network.
    """
    with _python_random_state_kept():
        model = _build_model(spec)
    if spec.weights == "random":
        assign_random_weights(model, spec.seed)
    elif spec.weights != "imagenet":
        load_weight_file(model, spec.weights)
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


def _build_model(spec: VisionSpec) -> keras.Model:
    frames = keras.Input((None, None, 3), dtype="uint8", name="frames")
    pixels = FrameNormalization(spec.name, spec.image_size, name="normalize")(frames)
    try:
        network = _APPLICATIONS[spec.name](
            include_top=spec.has_top,
            weights="imagenet" if spec.weights == "imagenet" else None,
            input_tensor=pixels,
        )
    except Exception as error:
        if spec.weights != "imagenet":
            raise
        ending = ".h5" if spec.has_top else "_notop.h5"
        raise DataError(
            f"cannot fetch the ImageNet weights of {spec.name}. Offline, bring "
            f"{_WEIGHT_FILES[spec.name]}{ending} and give --vision_weights=FILE, or "
            f"use --vision_weights=random. Received: weights='imagenet' ({error})"
        ) from error
    if spec.has_top:
        embedding = network.get_layer(spec.layer).output
    else:
        feature_map = network.get_layer(_LAST_FEATURE_MAP[spec.name]).output
        join = (
            keras.layers.GlobalAveragePooling2D(name="avg")
            if spec.layer == "avg"
            else keras.layers.Flatten(name="flatten")
        )
        embedding = join(feature_map)
    return keras.Model(frames, embedding, name=f"{spec.name}_{spec.layer}")


@contextmanager
def _python_random_state_kept() -> Iterator[None]:
    """Keeps the state of `random`, from which Keras draws the seeds of initializers."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
