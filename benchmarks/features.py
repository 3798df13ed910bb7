"""Measures feature extraction, compared with the networks alone and with full padding.

    python -m benchmarks.features

ResNet50 with random weights at 224 × 224 and batches of 16: posts of eight JPEG frames
(synthetic, seed 0) through `FrameEmbedder`, including decoding, compared with the same
network as a plain `tf.function` on decoded arrays. The same with OpenVINO, in float32
and in int8 calibrated on 72 of the frames, both as extraction and as the network alone
on decoded arrays (extra `openvino`). MiniLM on 320 captions of a simulated world:
`CaptionEmbedder`, which batches by length, compared with the same network on captions
padded to 64 tokens. Prints medians of interleaved runs and their ratios; ours is faster
above 1.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import tensorflow as tf

from benchmarks.famous_captions import minilm_handle
from benchmarks.turns import interleaved
from dc_keras import __version__
from dc_keras.encoders.extraction import (
    CaptionEmbedder,
    ExtractionConfig,
    FrameEmbedder,
)
from dc_keras.encoders.frame_batches import Inference
from dc_keras.encoders.openvino_encoder import (
    OpenVinoEncoder,
    convert_encoder,
    read_int8_encoder,
)
from dc_keras.encoders.quantization import CalibrationFrames, write_int8_model
from dc_keras.encoders.text import TextSpec, build_text_encoder
from dc_keras.encoders.vision import VisionEncoder, VisionSpec, build_vision_encoder
from dc_keras.simulation.world import WorldConfig, simulate_world
from tfrecords.memory import keep_freed_memory
from tfrecords.schema import FrameRecord

_SIZE, _NUM_FRAMES, _NUM_POSTS, _BATCH = 224, 8, 12, 16
_TOKENS, _NUM_CAPTIONS = 64, 320
_NUM_CALIBRATION = 72
_NUM_RUNS = 5


def _make_post(number: int, jpegs: Sequence[bytes]) -> FrameRecord:
    times = tuple(range(len(jpegs)))
    size = (_SIZE, _SIZE)
    return FrameRecord(
        str(number), "", "", (), None, 1, len(jpegs), *size, times, tuple(jpegs)
    )


def main() -> None:
    """Prints the table."""
    keep_freed_memory()
    print(f"dc_keras {__version__}, {platform.processor() or platform.machine()}")
    print("| what | ours, s | peer, s | peer / ours |\n|---|---|---|---|")
    for what, ours, peer in [*_frames(), _captions()]:
        print(f"| {what} | {ours:.2f} | {peer:.2f} | {peer / ours:.2f} |", flush=True)


def _frames() -> list[tuple[str, float, float]]:
    """Returns seconds of each way to embed frames, and of the bare `tf.function`."""
    pixels, jpegs = _make_frames()
    posts = [
        _make_post(n, jpegs[n * _NUM_FRAMES : (n + 1) * _NUM_FRAMES])
        for n in range(_NUM_POSTS)
    ]
    batches = [
        tf.constant(np.stack(pixels[start : start + _BATCH]))
        for start in range(0, len(pixels), _BATCH)
    ]
    encoder = build_vision_encoder(
        VisionSpec("ResNet50", weights="random", image_size=_SIZE)
    )
    config = ExtractionConfig(_NUM_FRAMES, _SIZE, _BATCH)
    runs: dict[str, Callable[[], object]] = {}
    runs["frames"] = partial(FrameEmbedder(encoder, config).embed, posts)
    for name, other in _openvino(encoder, jpegs).items():
        runs[f"frames, {name}"] = partial(FrameEmbedder(other, config).embed, posts)
        runs[f"network alone, {name}"] = partial(
            _exhaust, other.inference(_SIZE), batches
        )
    bare = tf.function(
        lambda images: encoder.model(images, training=False),
        input_signature=[tf.TensorSpec((None, _SIZE, _SIZE, 3), tf.uint8)],
    )
    *seconds, peer = interleaved(
        *runs.values(),
        lambda: [bare(batch).numpy() for batch in batches],
        num_rounds=_NUM_RUNS,
    )
    return [(what, ours, peer) for what, ours in zip(runs, seconds, strict=True)]


def _make_frames() -> tuple[list[np.ndarray], list[bytes]]:
    """Returns frames, uint8 BGR (224, 224, 3) each, and their JPEG files."""
    rng = np.random.default_rng(0)
    # Smooth, because decoding noise takes longer than decoding real frames.
    coarse = rng.integers(0, 255, (_NUM_POSTS * _NUM_FRAMES, 8, 8, 3), np.uint8)
    sides = (_SIZE, _SIZE)
    pixels = [cv2.resize(c, sides, interpolation=cv2.INTER_CUBIC) for c in coarse]
    return pixels, [cv2.imencode(".jpg", image)[1].tobytes() for image in pixels]


def _openvino(
    encoder: VisionEncoder, jpegs: Sequence[bytes]
) -> dict[str, OpenVinoEncoder]:
    """Returns the network on OpenVINO, in float32 and in int8."""
    cut = _NUM_CALIBRATION
    frames = CalibrationFrames(tuple(jpegs[:cut]), tuple(jpegs[cut:]), seed=0)
    with TemporaryDirectory() as work:
        place = Path(work) / "int8"
        made = write_int8_model(place, encoder, _SIZE, frames)
        print(f"int8: {made['calibration']}")
        int8 = read_int8_encoder(place)
    return {"OpenVINO": convert_encoder(encoder, _SIZE), "int8": int8}


def _exhaust(inference: Inference, batches: Sequence[tf.Tensor]) -> None:
    for _ in inference(batches):
        pass


def _captions() -> tuple[str, float, float]:
    """Returns seconds of extraction, and of the network on 64 tokens a caption."""
    spec = TextSpec(minilm_handle(), max_tokens=_TOKENS, pooling="mean")
    encoder = build_text_encoder(spec)
    posts = simulate_world(WorldConfig()).posts
    captions = [post.caption for post in posts[:_NUM_CAPTIONS]]
    embedder = CaptionEmbedder(encoder, _BATCH)
    layers = [encoder.model.get_layer(name) for name in ("clean", "pack")]

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def padded(texts: tf.Tensor) -> tf.Tensor:
        clean, pack = layers
        tokens = pack(clean(texts))
        wide = {
            name: tf.pad(ids, [[0, 0], [0, _TOKENS - tf.shape(ids)[1]]])
            for name, ids in tokens.items()
        }
        network = encoder.token_model
        return None if network is None else network(wide, training=False)

    batches = [
        tf.constant(captions[start : start + _BATCH])
        for start in range(0, len(captions), _BATCH)
    ]
    ours = embedder.embed(captions)
    theirs = np.concatenate([padded(batch).numpy() for batch in batches])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    ours_s, theirs_s = interleaved(
        lambda: embedder.embed(captions),
        lambda: [padded(batch).numpy() for batch in batches],
        num_rounds=_NUM_RUNS,
    )
    return "captions", ours_s, theirs_s


if __name__ == "__main__":
    main()
