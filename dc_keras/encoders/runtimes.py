"""Runtimes of the vision network: TensorFlow, and OpenVINO on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dc_keras.encoders.inference import FrameEncoder
from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
from dc_keras.errors import DataError

TENSORFLOW, OPENVINO, OPENVINO_INT8 = RUNTIMES = (
    "tensorflow",
    "openvino",
    "openvino_int8",
)


def build_frame_encoder(
    spec: VisionSpec, runtime: str, frame_size: int, int8_model: Path | None = None
) -> FrameEncoder:
    """Builds a vision encoder for a runtime.

    Args:
        spec: the vision encoder.
        runtime: one of `RUNTIMES`.
        frame_size: width and height of the frames in px.
        int8_model: for "openvino_int8", the directory of `write_int8_model`.

    Raises:
        DataError: the runtime is unknown or not installed (OpenVINO needs the extra
            `openvino`), the encoder cannot be built, or the int8 network is missing or
            damaged.
    """
    if runtime == TENSORFLOW:
        return build_vision_encoder(spec)
    if runtime == OPENVINO:
        from dc_keras.encoders.openvino_encoder import convert_encoder

        return convert_encoder(build_vision_encoder(spec), frame_size)
    if runtime == OPENVINO_INT8 and int8_model is not None:
        from dc_keras.encoders.openvino_encoder import read_int8_encoder

        return read_int8_encoder(int8_model)
    raise DataError(
        f"the runtime must be one of {', '.join(RUNTIMES)}, and {OPENVINO_INT8} needs "
        f"a quantised network. Received: runtime={runtime!r}, int8_model={int8_model}"
    )


def float32_fingerprint(settings: Mapping[str, Any]) -> str:
    """Returns the fingerprint of the Keras network that features are equivalent to.

    OpenVINO in float32 and TensorFlow differ by less than the precision of float16, so
    their features are interchangeable. Features in int8 differ more: the scores would
    not be those that were validated.

    Args:
        settings: the `vision` settings of a manifest.

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
