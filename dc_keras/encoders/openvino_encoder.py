"""A vision encoder on OpenVINO, for CPUs: with `quantization` all that knows OpenVINO.

The Keras network is converted as a whole, its normalisation included, so that there is
no second preprocessing. It computes in float32 on every processor: left alone, OpenVINO
takes bfloat16 where there is an instruction for it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.inference import Inference, as_graph, frame_spec
from dc_keras.encoders.vision import VisionEncoder
from dc_keras.errors import DataError

# OpenVINO and NNCF report their use to their makers unless asked not to; without this
# package, which they import if they can, they report nothing. Too late for a program
# that imported one of them before this module.
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
# Several batches at a time, each on a part of the cores.
_ON_CPU = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}


@dataclass(frozen=True)
class OpenVinoEncoder:
    """A vision network that OpenVINO runs.

    Attributes:
        network: an `openvino.Model`: uint8 RGB (any, frame_size, frame_size, 3) →
            float32 (any, embedding_dim).
        description: what a manifest says about it; `fingerprint` and `embedding_dim`
            among it.
    """

    network: Any
    description: Mapping[str, Any]

    @property
    def embedding_dim(self) -> int:
        """Width of an embedding."""
        return int(self.description["embedding_dim"])

    def settings(self) -> dict[str, Any]:
        """Returns what a manifest says about this encoder."""
        return dict(self.description)

    def inference(self, frame_size: int) -> Inference:
        """Returns what embeds batches of frames.

        Args:
            frame_size: side of the frames in px: the network's own.

        Raises:
            DataError: the network takes frames of another size.
        """
        own = self.network.inputs[0].partial_shape[1].get_length()
        if own != frame_size:
            raise DataError(
                f"the converted network takes frames of {own} px. "
                f"Received: frame_size={frame_size}"
            )
        compiled = openvino.Core().compile_model(self.network, "CPU", _ON_CPU)
        num_requests = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        requests = [compiled.create_infer_request() for _ in range(num_requests)]
        return partial(_embed_in_turn, requests)


def convert_encoder(encoder: VisionEncoder, frame_size: int) -> OpenVinoEncoder:
    """Converts an encoder for OpenVINO, in float32.

    Args:
        encoder: the Keras network.
        frame_size: side of the frames in px.
    """
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


def read_network(path: Path) -> Any:
    """Returns the `openvino.Model` that was saved as an .xml file, beside its .bin."""
    return openvino.Core().read_model(path)


def save_network(network: Any, path: Path) -> None:
    """Saves an `openvino.Model` as an .xml and a .bin file, to the last bit."""
    openvino.save_model(network, path, compress_to_fp16=False)


def read_int8_encoder(directory: Path) -> OpenVinoEncoder:
    """Reads a quantised network that `quantization.write_int8_model` left.

    Raises:
        DataError: there is none, or its files are not those that were written.
    """
    try:
        kept = json.loads((directory / DESCRIPTION).read_text("utf-8"))
        is_whole = kept["sha256"] == network_hashes(directory)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{directory} must hold a quantised network; extract_features writes one. "
            f"Received: {error}"
        ) from error
    if not is_whole:
        raise DataError(
            f"{directory} must hold the files that were written there; remove it, and "
            "extract_features quantises anew. Received: another sha256"
        )
    return OpenVinoEncoder(read_network(directory / NETWORK), kept["vision"])


def network_hashes(directory: Path) -> dict[str, str]:
    """Returns the sha256, hex, of each file of a saved network."""
    return {
        name: hashlib.sha256((directory / name).read_bytes()).hexdigest()
        for name in (NETWORK, CONSTANTS)
    }


def _embed_in_turn(
    requests: list[Any], batches: Iterable[tf.Tensor]
) -> Iterator[npt.NDArray[np.float32]]:
    """Yields embeddings in order, with as many batches under way as requests."""
    idle, under_way = deque(requests), deque[Any]()
    try:
        for batch in batches:
            if not idle:
                yield _result(under_way[0])
                idle.append(under_way.popleft())
            request = idle.popleft()
            request.start_async([batch.numpy()])
            under_way.append(request)
        while under_way:
            yield _result(under_way[0])
            under_way.popleft()
    finally:
        # Where a batch could not be decoded: nobody may ask a request that is at work.
        for request in under_way:
            request.wait()


def _result(request: Any) -> npt.NDArray[np.float32]:
    request.wait()
    embedded: npt.NDArray[np.float32] = request.get_output_tensor().data.copy()
    return embedded
