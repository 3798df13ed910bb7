"""Runs a vision encoder with OpenVINO, on CPUs.

The Keras network is converted with its normalisation, so there is no separate
preprocessing. It computes in float32 on every processor; by default, OpenVINO would use
bfloat16 where the processor supports it. Only this module and `quantization` import
OpenVINO.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.frame_batches import Inference, as_graph, frame_spec
from dc_keras.encoders.vision import VisionEncoder
from dc_keras.errors import DataError
from tfrecords.storage.checksums import hash_files

# Disables the telemetry of OpenVINO and NNCF, which they send with this package if it
# can be imported. This has no effect if one of them was imported before.
sys.modules.setdefault("openvino_telemetry", cast("Any", None))

MISSING_EXTRA = (
    "--vision_runtime=openvino and openvino_int8 need OpenVINO: "
    "pip install 'dc_keras[openvino]'"
)
try:
    import openvino
except ImportError as error:
    raise DataError(MISSING_EXTRA) from error

NETWORK, CONSTANTS, DESCRIPTION = "network.xml", "network.bin", "encoder.json"
# Processes several batches at a time, each on some of the cores.
_ON_CPU = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}


@dataclass(frozen=True)
class OpenVinoEncoder:
    """A vision network that OpenVINO runs.

    Attributes:
        network: an `openvino.Model`: uint8 RGB (any, frame_size, frame_size, 3) →
            float32 (any, embedding_dim).
        description: settings for a manifest, with `fingerprint` and `embedding_dim`.
    """

    network: Any
    description: Mapping[str, Any]

    @property
    def embedding_dim(self) -> int:
        """Width of an embedding."""
        return int(self.description["embedding_dim"])

    def settings(self) -> dict[str, Any]:
        """Returns the settings of this encoder for a manifest."""
        return dict(self.description)

    def inference(self, frame_size: int) -> Inference:
        """Returns the function that embeds batches of frames of the network's size."""
        compiled = openvino.Core().compile_model(self.network, "CPU", _ON_CPU)
        return partial(_embed_in_order, openvino.AsyncInferQueue(compiled))


def convert_encoder(encoder: VisionEncoder, frame_size: int) -> OpenVinoEncoder:
    """Converts an encoder for OpenVINO, in float32."""
    identity = {"network": encoder.fingerprint, "runtime": "openvino"}
    description = {
        **encoder.settings(),
        "runtime": "openvino",
        "network_fingerprint": encoder.fingerprint,
        "fingerprint": fingerprint(identity, ()),
    }
    return OpenVinoEncoder(convert(encoder, frame_size), description)


def convert(encoder: VisionEncoder, frame_size: int) -> Any:
    """Returns the network of an encoder as an `openvino.Model`."""
    return openvino.convert_model(as_graph(encoder.model, frame_spec(frame_size)))


def read_int8_encoder(directory: Path) -> OpenVinoEncoder:
    """Reads a quantised network that `quantization.write_int8_model` wrote.

    Raises:
        DataError: there is no such network, or its files were changed.
    """
    try:
        content = json.loads((directory / DESCRIPTION).read_text("utf-8"))
        files = (directory / name for name in (NETWORK, CONSTANTS))
        is_intact = content["sha256"] == hash_files(files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{directory} must contain a quantised network of extract_features. "
            f"Received: {error}"
        ) from error
    if not is_intact:
        raise DataError(
            f"{directory} must contain the files that were written there; remove it to "
            "quantise again with extract_features. Received: another sha256"
        )
    network = openvino.Core().read_model(directory / NETWORK)
    return OpenVinoEncoder(network, content["vision"])


def _embed_in_order(
    queue: Any, batches: Iterable[tf.Tensor]
) -> Iterator[npt.NDArray[np.float32]]:
    """Yields embeddings in order; the queue processes several batches in parallel."""
    embedded: dict[int, npt.NDArray[np.float32]] = {}

    def keep(request: Any, number: int) -> None:
        embedded[number] = request.get_output_tensor().data.copy()

    queue.set_callback(keep)
    try:
        for number, batch in enumerate(batches):
            queue.start_async([batch.numpy()], number)
    finally:
        # Also after a decoding error, so that the queue can be used again.
        queue.wait_all()
    yield from (embedded[number] for number in range(len(embedded)))
