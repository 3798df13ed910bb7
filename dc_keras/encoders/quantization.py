"""A vision encoder in int8, for CPUs: quantised once by NNCF, judged, kept as files.

Post-training quantisation: each tensor gets a range, from what frames of the corpus
make of it, and its values become steps of that range. The ranges decide what comes out,
so a run quantises once and all of its processes read the same files. A network whose
embeddings of held-out frames turn away from those in float32 is not written.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dc_keras.encoders.quantization_samples import (
    NUM_CALIBRATION_FRAMES,
    NUM_HELD_OUT_FRAMES,
    CalibrationFrames,
)
from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.frame_batches import decoded_batches, embed_jpegs
from dc_keras.encoders.openvino_encoder import (
    CONSTANTS,
    DESCRIPTION,
    MISSING_EXTRA,
    NETWORK,
    OpenVinoEncoder,
    convert,
    network_hashes,
    read_network,
    save_network,
)
from dc_keras.encoders.vision import VisionEncoder
from dc_keras.errors import DataError

# After OpenVINO, whose module sees to it that neither reports its use.
try:
    import nncf
    import openvino
except ImportError as error:
    raise DataError(MISSING_EXTRA) from error

# Part of every fingerprint: raise it when the same frames would give another network.
QUANTIZATION_VERSION = 1
LEAST_COSINE = 0.99
_PREFIX = "int8-"
_BATCH_SIZE = 16


def int8_directory(
    output: Path, encoder: VisionEncoder, frame_size: int, frames: Sequence[str]
) -> Path:
    """Returns where the network goes that is quantised from these frames.

    Args:
        output: directory of the features.
        encoder: what is quantised.
        frame_size: side of the frames in px.
        frames: sha256 of each shard of frames.
    """
    made_from = [
        QUANTIZATION_VERSION,
        encoder.fingerprint,
        frame_size,
        [NUM_CALIBRATION_FRAMES, NUM_HELD_OUT_FRAMES, LEAST_COSINE],
        [openvino.get_version(), nncf.__version__],
        list(frames),
    ]
    digest = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()
    return output / f"{_PREFIX}{digest[:16]}"


def write_int8_model(
    directory: Path,
    encoder: VisionEncoder,
    frame_size: int,
    frames: CalibrationFrames,
    *,
    least_cosine: float = LEAST_COSINE,
) -> dict[str, Any]:
    """Quantises an encoder, judges it, and writes it: whole, or not at all.

    Leaves `network.xml` and `network.bin` of OpenVINO, and `encoder.json`: what a
    manifest says about the encoder, and the sha256 of both. Where another run was
    faster, its network stays. Networks made from other frames are removed.

    Args:
        directory: where to write; from `int8_directory`.
        encoder: the Keras network.
        frame_size: side of the frames in px.
        frames: what to calibrate on and to judge by.
        least_cosine: the cosine that each held-out frame's embedding must have to its
            embedding in float32.

    Returns:
        What a manifest says about the network that was made here.

    Raises:
        DataError: the cosine of a held-out frame falls under `least_cosine`, or a
            frame is no JPEG of that size.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=directory.parent, prefix=f".{directory.name}-"
    ) as work:
        made = Path(work) / "model"
        made.mkdir()
        network = _quantize(encoder, frame_size, frames.calibration)
        save_network(network, made / NETWORK)
        # Judged as it will be read.
        quantized = OpenVinoEncoder(read_network(made / NETWORK), encoder.settings())
        found = _cosines(quantized, encoder, frame_size, frames.held_out)
        _require_close(float(found.min()), least_cosine, len(found))
        vision = _describe(encoder, frames, found, network_hashes(made)[CONSTANTS])
        kept = {"vision": vision, "sha256": network_hashes(made)}
        text = json.dumps(kept, indent=2, sort_keys=True)
        (made / DESCRIPTION).write_text(text + "\n", "utf-8")
        try:
            made.rename(directory)
        except OSError:
            if not directory.exists():
                raise
    for other in directory.parent.glob(f"{_PREFIX}*"):
        if other != directory:
            shutil.rmtree(other)
    return vision


def _quantize(encoder: VisionEncoder, frame_size: int, jpegs: Sequence[bytes]) -> Any:
    decoded = [batch.numpy() for batch in decoded_batches(jpegs, frame_size, 1)]
    nncf.set_log_level(logging.ERROR)
    # Its progress bars go to stdout, which is for results.
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            convert(encoder, frame_size),
            nncf.Dataset(decoded),
            subset_size=len(decoded),
            # Neither pixels less a mean nor what ReLU leaves lie evenly about zero.
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
        )


def _cosines(
    quantized: OpenVinoEncoder,
    encoder: VisionEncoder,
    frame_size: int,
    jpegs: Sequence[bytes],
) -> npt.NDArray[np.float64]:
    """Returns each frame's cosine between int8 and float32, float64 (num_jpegs,)."""
    embed = partial(
        embed_jpegs,
        jpegs,
        embedding_dim=encoder.embedding_dim,
        size=frame_size,
        batch_size=_BATCH_SIZE,
    )
    ours, theirs = (
        embed(network.inference(frame_size)).astype(np.float64)
        for network in (quantized, encoder)
    )
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    # An embedding of zeros has no direction to keep, unless both have none.
    cosines: npt.NDArray[np.float64] = np.all(ours == theirs, axis=1).astype(float)
    dots = np.einsum("ij,ij->i", ours, theirs)
    np.divide(dots, norms, out=cosines, where=norms != 0)
    return cosines


def _require_close(smallest: float, least_cosine: float, num_frames: int) -> None:
    # Written so that a NaN is refused.
    if not smallest >= least_cosine:
        raise DataError(
            "int8 must keep the direction of every held-out frame's embedding, cosine "
            f"to float32 at least {least_cosine}; take --vision_runtime=openvino. "
            f"Received: smallest cosine {smallest:.4f} of {num_frames} frames"
        )


def _describe(
    encoder: VisionEncoder,
    frames: CalibrationFrames,
    cosines: npt.NDArray[np.float64],
    constants: str,
) -> dict[str, Any]:
    calibration = {
        "num_frames": len(frames.calibration),
        "seed": frames.seed,
        "sha256": frames.sha256,
    }
    identity = {
        "network": encoder.fingerprint,
        "runtime": "openvino_int8",
        "version": QUANTIZATION_VERSION,
        "calibration": calibration,
        "constants": constants,
    }
    judged = {
        "num_held_out": len(cosines),
        "smallest_cosine": round(float(cosines.min()), 6),
        "mean_cosine": round(float(cosines.mean()), 6),
    }
    return {
        **encoder.settings(),
        "runtime": "openvino_int8",
        "network_fingerprint": encoder.fingerprint,
        "calibration": {**calibration, **judged},
        "fingerprint": fingerprint(identity, ()),
    }
