"""Registry of encoders by name: networks of keras.applications, and registered ones.

A module registers its own encoders when it is imported (docs/encoders.md).
`--encoders=MODULE` imports it. The spec of an encoder contains the name of the module,
so that workers and the export of a bundle import it too. TensorFlow is not imported
here, so that an unknown name is refused without delay.
"""

from __future__ import annotations

import difflib
import importlib
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc_keras.errors import DataError


@dataclass(frozen=True)
class Application:
    """A network of keras.applications.

    Attributes:
        name: name in keras.applications.
        module: the module of keras.applications with its `preprocess_input`.
        smallest_image: width and height of its smallest input in px.
        pixel_rms: approximate root mean square of the input of its first kernel.
        dense_layers: fully connected layers below the classifier.
    """

    name: str
    module: str
    smallest_image: int = 32
    pixel_rms: float = 1.0
    dense_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnEncoder:
    """An encoder that a module registered.

    Attributes:
        name: name of the encoder.
        build: the registered function.
        module: name of the module that defines the function.
        weights: returns the path of the network's weights; None if `build` sets them.
    """

    name: str
    build: Callable[..., Any]
    module: str
    weights: Callable[[], Path] | None = None


# Approximate root mean square of pixels minus the ImageNet mean, which reach ±150.
_LESS_MEAN_RMS = 64.0
_TOP = ("fc1", "fc2")
# Without a colon, which marks a handle.
_NAME = re.compile(r"[\w.-]+")
APPLICATIONS = {
    application.name: application
    for application in (
        Application("VGG16", "vgg16", 32, _LESS_MEAN_RMS, _TOP),
        Application("VGG19", "vgg19", 32, _LESS_MEAN_RMS, _TOP),
        *(
            Application(f"ResNet{depth}", "resnet", 32, _LESS_MEAN_RMS)
            for depth in (50, 101, 152)
        ),
        *(Application(f"ResNet{depth}V2", "resnet_v2") for depth in (50, 101, 152)),
        *(Application(f"DenseNet{depth}", "densenet") for depth in (121, 169, 201)),
        Application("InceptionV3", "inception_v3", 75),
        Application("InceptionResNetV2", "inception_resnet_v2", 75),
        Application("Xception", "xception", 71),
        Application("MobileNet", "mobilenet"),
        Application("MobileNetV2", "mobilenet_v2"),
        *(Application(f"MobileNetV3{s}", "mobilenet_v3") for s in ("Small", "Large")),
        *(Application(f"NASNet{size}", "nasnet") for size in ("Mobile", "Large")),
        *(Application(f"EfficientNetB{n}", "efficientnet") for n in range(8)),
        *(
            Application(f"EfficientNetV2{size}", "efficientnet_v2")
            for size in ("B0", "B1", "B2", "B3", "S", "M", "L")
        ),
        *(
            Application(f"ConvNeXt{size}", "convnext")
            for size in ("Tiny", "Small", "Base", "Large", "XLarge")
        ),
    )
}

# Networks that modules of this package register when they are imported.
_OURS = {"EfficientNetLite0": "dc_keras.encoders.efficientnet_lite"}
_own: dict[str, dict[str, OwnEncoder]] = {"vision": {}, "text": {}}


def register_vision(
    name: str, *, weights: Callable[[], Path] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Registers the decorated function as a vision network, for `--vision=NAME`.

    The function takes the image size in px and returns a Keras model from float32 RGB
    from 0 to 255, (batch_size, image_size, image_size, 3), to a vector, or to a feature
    map that the spec's layer `avg` or `flatten` turns into a vector. The model includes
    the normalisation of pixels and the weights; `--vision_weights=random` or a file
    replaces the weights.

    Args:
        name: a name of letters, digits, `_`, `-` and `.`.
        weights: returns the path of a weight file of the network, which is loaded
            unless others are requested; None if the function sets the weights.

    Raises:
        DataError: the name has other characters, or is taken.
    """
    return _register("vision", name, weights)


def register_text(name: str) -> Callable[[Callable[[], Any]], Any]:
    """Registers the decorated function as a text encoder, for `--text=NAME`.

    The function takes no arguments and returns a Keras model from captions, string
    (batch_size,), valid UTF-8 with hashtags already masked, to float32 (batch_size,
    embedding_dim).

    Args:
        name: a name of letters, digits, `_`, `-` and `.`.

    Raises:
        DataError: the name has other characters, or is taken.
    """
    return _register("text", name)


@contextmanager
def fixed_seeds() -> Iterator[None]:
    """Gives layers that are built without a seed the same weights in every process.

    Keras draws the seeds of initializers from `random`, whose state is restored.
    """
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def import_encoders(modules: Iterable[str]) -> None:
    """Imports modules that register encoders.

    Raises:
        DataError: there is no such module.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise DataError(
                "encoders must be in Python modules that every worker can import: in "
                "the current directory, or installed. "
                f"Received: encoders={module!r} ({error})"
            ) from error


def find_vision(name: str, module: str | None = None) -> Application | OwnEncoder:
    """Returns the vision network of a name.

    Raises:
        DataError: there is no such network, or the module cannot be imported.
    """
    if name in APPLICATIONS:
        return APPLICATIONS[name]
    known = (*APPLICATIONS, *_OURS, *_own["vision"])
    return _find("vision", name, module or _OURS.get(name), known)


def find_text(name: str, module: str | None = None) -> OwnEncoder:
    """Returns the registered text encoder of a name; see `find_vision`."""
    return _find("text", name, module, ("hub:PATH_OR_URL", "keras_nlp:PRESET_OR_DIR"))


def _register(
    kind: str, name: str, weights: Callable[[], Path] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    if not _NAME.fullmatch(name):
        raise DataError(
            f"the name of a {kind} encoder must be made of letters, digits, `_`, `-` "
            f"and `.`. Received: name={name!r}"
        )

    def register(build: Callable[..., Any]) -> Callable[..., Any]:
        other = _own[kind].get(name)
        is_taken = other is not None and other.module != build.__module__
        if is_taken or name in APPLICATIONS or name == "none":
            raise DataError(
                f"the name of a {kind} encoder must be unique. "
                f"Received: name={name!r}, module={build.__module__}"
            )
        _own[kind][name] = OwnEncoder(name, build, build.__module__, weights)
        return build

    return register


def _find(kind: str, name: str, module: str | None, known: Iterable[str]) -> OwnEncoder:
    if name not in _own[kind] and module is not None:
        import_encoders([module])
    encoder = _own[kind].get(name)
    if encoder is None:
        names = sorted({*known, *_own[kind]})
        lower = {option.lower(): option for option in names}
        near = difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)
        nearest = [lower[option] for option in near] or names
        raise DataError(
            f"the {kind} encoder must be a known one, such as {', '.join(nearest)}, or "
            f"one that a module of --encoders registers. Received: {kind}={name!r}"
        )
    return encoder
