"""Quantises a vision encoder to int8 with NNCF, for CPUs.

Post-training quantisation gives each tensor a range, which is measured on frames of the
corpus, and maps its values to steps of that range. The output depends on the ranges, so
a run quantises once and all of its processes read the same files. The network is
written only if its embeddings of held-out frames are close to those in float32.

Frames are drawn by their hashes, so they depend neither on the shards nor on the order
of the posts.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import io
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dc_keras.encoders.fingerprints import fingerprint
from dc_keras.encoders.frame_batches import decoded_batches, embed_jpegs
from dc_keras.encoders.openvino_encoder import (
    CONSTANTS,
    DESCRIPTION,
    MISSING_EXTRA,
    NETWORK,
    OpenVinoEncoder,
    convert,
)
from dc_keras.encoders.vision import VisionEncoder
from dc_keras.errors import DataError
from tfrecords.schema import FrameRecord
from tfrecords.storage.checksums import hash_files

# Imported after `openvino_encoder`, which disables the telemetry of both.
try:
    import nncf
    import openvino
except ImportError as error:
    raise DataError(MISSING_EXTRA) from error

NUM_CALIBRATION_FRAMES = 300
NUM_HELD_OUT_FRAMES = 100
# One of this many posts is held out with all of its frames, because the frames of one
# video are too similar to be used for both calibration and evaluation.
_HELD_OUT_POSTS = 4
_FEWEST_FRAMES = 10
# Part of every fingerprint. Increase it when the same frames give another network.
QUANTIZATION_VERSION = 1
LEAST_COSINE = 0.99
_PREFIX = "int8-"
_BATCH_SIZE = 16


@dataclass(frozen=True)
class CalibrationFrames:
    """Distinct frames that were drawn from a corpus."""

    calibration: tuple[bytes, ...]
    held_out: tuple[bytes, ...]
    seed: int

    @property
    def sha256(self) -> str:
        """The SHA-256 of the calibration frames, in hex."""
        digest = hashlib.sha256()
        for jpeg in self.calibration:
            digest.update(hashlib.sha256(jpeg).digest())
        return digest.hexdigest()


def draw_frames(
    posts: Iterable[FrameRecord],
    *,
    num_calibration: int = NUM_CALIBRATION_FRAMES,
    num_held_out: int = NUM_HELD_OUT_FRAMES,
    seed: int = 0,
) -> CalibrationFrames:
    """Draws frames for calibration, and frames of other posts for evaluation.

    One post in four is held out. In each group, the distinct frames with the smallest
    hashes are drawn, which is a uniform sample. A held-out frame with the same bytes as
    a calibration frame is excluded.

    Raises:
        DataError: there are fewer than ten frames in one of the groups.
    """
    # All calibration frames may have to be excluded from the held-out frames.
    calibration = _SmallestHashes(num_calibration, seed)
    held_out = _SmallestHashes(num_held_out + num_calibration, seed)
    for post in posts:
        side = held_out if _is_held_out(post.video_id, seed) else calibration
        for jpeg in post.jpegs:
            side.add(jpeg)
    known = calibration.smallest()
    others = [jpeg for key, jpeg in held_out.smallest().items() if key not in known]
    drawn = CalibrationFrames(tuple(known.values()), tuple(others[:num_held_out]), seed)
    if min(len(drawn.calibration), len(drawn.held_out)) < _FEWEST_FRAMES:
        raise DataError(
            f"int8 needs at least {_FEWEST_FRAMES} distinct frames for calibration and "
            f"{_FEWEST_FRAMES} of held-out posts. Received: {len(drawn.calibration)} "
            f"and {len(drawn.held_out)} in these frame records"
        )
    return drawn


class _SmallestHashes:
    """Collects the `size` distinct frames with the smallest hashes."""

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._start = hashlib.sha256(f"frame {seed} ".encode())
        self._kept: dict[bytes, bytes] = {}

    def add(self, jpeg: bytes) -> None:
        digest = self._start.copy()
        digest.update(jpeg)
        self._kept[digest.digest()] = jpeg
        # Prunes rarely enough to be cheap, and often enough to limit memory.
        if len(self._kept) > 4 * self._size:
            self._kept = self.smallest()

    def smallest(self) -> dict[bytes, bytes]:
        """Returns the frames by hash, in ascending order of hashes."""
        return {key: self._kept[key] for key in heapq.nsmallest(self._size, self._kept)}


def _is_held_out(video_id: str, seed: int) -> bool:
    digest = hashlib.sha256(f"post {seed} {video_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _HELD_OUT_POSTS == 0


def int8_directory(
    output: Path, encoder: VisionEncoder, frame_size: int, frames: Sequence[str]
) -> Path:
    """Returns the directory of the network that is quantised with these frames."""
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
    directory: Path, encoder: VisionEncoder, frame_size: int, frames: CalibrationFrames
) -> dict[str, Any]:
    """Quantises an encoder, evaluates it, and writes it atomically.

    Writes `network.xml` and `network.bin` of OpenVINO, and `encoder.json` with the
    settings for a manifest and the SHA-256 of both files, to a directory that does not
    exist, from `int8_directory`. Networks made from other frames are removed.

    Returns:
        The settings of the new network for a manifest.

    Raises:
        DataError: the cosine of a held-out frame falls under `LEAST_COSINE`, or a
            frame is no JPEG of that size.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=directory.parent, prefix=f".{directory.name}-"
    ) as work:
        made = Path(work) / "model"
        made.mkdir()
        network = _quantize(encoder, frame_size, frames.calibration)
        openvino.save_model(network, made / NETWORK, compress_to_fp16=False)
        # The saved network is evaluated, because it may differ from the one in memory.
        saved = openvino.Core().read_model(made / NETWORK)
        quantized = OpenVinoEncoder(saved, encoder.settings())
        cosines = _compute_cosines(quantized, encoder, frame_size, frames.held_out)
        _require_close(float(cosines.min()), len(cosines))
        hashes = hash_files(made / name for name in (NETWORK, CONSTANTS))
        vision = _describe(encoder, frames, cosines, hashes[CONSTANTS])
        content = {"vision": vision, "sha256": hashes}
        text = json.dumps(content, indent=2, sort_keys=True)
        (made / DESCRIPTION).write_text(text + "\n", "utf-8")
        made.rename(directory)
    for other in directory.parent.glob(f"{_PREFIX}*"):
        if other != directory:
            shutil.rmtree(other)
    return vision


def _quantize(encoder: VisionEncoder, frame_size: int, jpegs: Sequence[bytes]) -> Any:
    decoded = [batch.numpy() for batch in decoded_batches(jpegs, frame_size, 1)]
    nncf.set_log_level(logging.ERROR)
    # NNCF prints progress bars to stdout, which is reserved for results.
    with contextlib.redirect_stdout(io.StringIO()):
        return nncf.quantize(
            convert(encoder, frame_size),
            nncf.Dataset(decoded),
            subset_size=len(decoded),
            # Centred pixels and outputs of ReLU are not symmetric about zero.
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU,
        )


def _compute_cosines(
    quantized: OpenVinoEncoder,
    encoder: VisionEncoder,
    frame_size: int,
    jpegs: Sequence[bytes],
) -> npt.NDArray[np.float64]:
    """Returns the cosine of the int8 and float32 embeddings, float64 (num_jpegs,)."""
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
    # The cosine of a zero embedding is 1 if both embeddings are equal, and 0 otherwise.
    cosines: npt.NDArray[np.float64] = np.all(ours == theirs, axis=1).astype(float)
    dots = np.einsum("ij,ij->i", ours, theirs)
    np.divide(dots, norms, out=cosines, where=norms != 0)
    return cosines


def _require_close(smallest: float, num_frames: int) -> None:
    # The negation also refuses NaN.
    if not smallest >= LEAST_COSINE:
        raise DataError(
            "int8 and float32 embeddings of every held-out frame must have a cosine of "
            f"at least {LEAST_COSINE}; use --vision_runtime=openvino. "
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
    evaluation = {
        "num_held_out": len(cosines),
        "smallest_cosine": round(float(cosines.min()), 6),
        "mean_cosine": round(float(cosines.mean()), 6),
    }
    return {
        **encoder.settings(),
        "runtime": "openvino_int8",
        "network_fingerprint": encoder.fingerprint,
        "calibration": {**calibration, **evaluation},
        "fingerprint": fingerprint(identity, ()),
    }
