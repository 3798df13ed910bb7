"""Extracts features of posts with frozen encoders, each frame once (PAPER choice 3).

Frames are batched across posts, so that the network processes full batches, and are
decoded in advance by tf.data. Captions are batched by length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dc_keras.encoders.frame_batches import FrameEncoder, as_graph, embed_jpegs
from dc_keras.encoders.text import TextEncoder, TextSpec, build_text_encoder
from dc_keras.encoders.vision import (
    TENSORFLOW,
    VisionSpec,
    build_vision_encoder,
)
from dc_keras.errors import DataError
from tfrecords.memory import keep_freed_memory
from tfrecords.schema import FeatureRecord, FrameRecord

# Batches of frames per chunk of posts: large enough that the last, smaller batch costs
# little, small enough for regular progress.
_CHUNK_BATCHES = 16
_CHUNK_POSTS = 2048

Frames: TypeAlias = npt.NDArray[np.float16]
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ExtractionConfig:
    """Options of the extraction of features.

    Attributes:
        num_frames: number of frames of a post, at least 1; shorter posts are padded.
        frame_size: width and height of the frames in px.
        batch_size: number of images, or of captions, per step.
        repeat: embedding of a repeated frame (PAPER choice 5): "nearest" copies that of
            the frame, "zero" is zero. The mask is False in both cases.
    """

    num_frames: int
    frame_size: int
    batch_size: int = 32
    repeat: str = "nearest"


class FeatureExtractor:
    """Extracts features of posts with a vision encoder, a text encoder, or both.

    Raises:
        DataError: both encoders are None.
    """

    def __init__(
        self,
        vision: FrameEncoder | None,
        text: TextEncoder | None,
        config: ExtractionConfig,
    ) -> None:
        if vision is None and text is None:
            raise DataError(
                "at least one encoder is needed. Received: vision=none, text=none"
            )
        self._vision, self._text, self._config = vision, text, config
        self._frames = None if vision is None else FrameEmbedder(vision, config)
        self._captions = (
            None if text is None else CaptionEmbedder(text, config.batch_size)
        )

    def settings(self) -> dict[str, Any]:
        """Returns the settings for a manifest: encoders and options."""
        return {
            "vision": None if self._vision is None else self._vision.settings(),
            "text": None if self._text is None else self._text.settings(),
            "num_frames": self._config.num_frames,
            "repeat": self._config.repeat,
        }

    def extract(self, posts: Iterable[FrameRecord]) -> Iterator[FeatureRecord]:
        """Yields the features of each post, in order.

        The frames of a post without media are zero and masked.

        Raises:
            DataError: as for `FrameEmbedder.embed`.
        """
        for chunk in _chunks(posts, _CHUNK_BATCHES * self._config.batch_size):
            frames = None if self._frames is None else self._frames.embed(chunk)
            captions = (
                None
                if self._captions is None
                else self._captions.embed([post.caption for post in chunk])
            )
            for i, post in enumerate(chunk):
                embedding, mask = (None, None) if frames is None else frames[i]
                caption = None if captions is None else captions[i]
                yield FeatureRecord(
                    post.video_id, post.user_id, embedding, mask, caption
                )


@dataclass(frozen=True)
class ExtractorSpec:
    """A description that builds the same `FeatureExtractor` on any machine.

    Attributes:
        vision: the vision encoder; None skips frames.
        text: the text encoder; None skips captions.
        config: options of the extraction.
        runtime: runtime of the vision encoder: "tensorflow", or "openvino" or
            "openvino_int8", which need the extra `openvino`.
        int8_model: directory of the quantised network, for "openvino_int8".
    """

    vision: VisionSpec | None
    text: TextSpec | None
    config: ExtractionConfig
    runtime: str = TENSORFLOW
    int8_model: Path | None = None

    def build(self) -> FeatureExtractor:
        """Loads the encoders, and makes the process keep freed memory.

        Raises:
            DataError: there is no encoder, or one cannot be loaded.
        """
        keep_freed_memory()
        vision = None if self.vision is None else self._build_vision(self.vision)
        text = None if self.text is None else build_text_encoder(self.text)
        return FeatureExtractor(vision, text, self.config)

    def _build_vision(self, spec: VisionSpec) -> FrameEncoder:
        if self.runtime == TENSORFLOW:
            return build_vision_encoder(spec)
        from dc_keras.encoders import openvino_encoder

        if self.int8_model is not None:
            return openvino_encoder.read_int8_encoder(self.int8_model)
        encoder = build_vision_encoder(spec)
        return openvino_encoder.convert_encoder(encoder, self.config.frame_size)


class FrameEmbedder:
    """Embeds the frames of posts with a vision encoder."""

    def __init__(self, encoder: FrameEncoder, config: ExtractionConfig) -> None:
        self._embedding_dim = encoder.embedding_dim
        self._config = config
        self._inference = encoder.inference(config.frame_size)

    def embed(self, posts: Sequence[FrameRecord]) -> list[tuple[Frames, Mask]]:
        """Returns the frame embeddings and the mask of each post; see `FeatureRecord`.

        Raises:
            DataError: a post has more than `num_frames` frames, a frame is no JPEG of
                `frame_size`, or an embedding does not fit float16.
        """
        masks = [self._find_distinct(post) for post in posts]
        distinct = embed_jpegs(
            [
                post.jpegs[position]
                for post, mask in zip(posts, masks, strict=True)
                for position in np.flatnonzero(mask).tolist()
            ],
            self._inference,
            embedding_dim=self._embedding_dim,
            size=self._config.frame_size,
            batch_size=self._config.batch_size,
        )
        ends = np.cumsum([mask.sum() for mask in masks])
        return [
            (self._place(_to_float16(rows, post.video_id), mask, len(post.jpegs)), mask)
            for post, mask, rows in zip(
                posts, masks, np.split(distinct, ends)[:-1], strict=True
            )
        ]

    def _find_distinct(self, post: FrameRecord) -> Mask:
        """Returns the mask of a post: True where a frame differs from the one before.

        Frames are compared by bytes, not by timestamps, because a request to a served
        model has only bytes and must get the same mask as in training.
        """
        jpegs = post.jpegs
        if len(jpegs) > self._config.num_frames:
            raise DataError(
                f"a post must have at most {self._config.num_frames} frames. "
                f"Received: {len(jpegs)} frames in video_id={post.video_id!r}"
            )
        mask = np.zeros(self._config.num_frames, bool)
        mask[: len(jpegs)] = [
            i == 0 or jpeg != jpegs[i - 1] for i, jpeg in enumerate(jpegs)
        ]
        return mask

    def _place(self, distinct: Frames, mask: Mask, num_present: int) -> Frames:
        """Returns one row per frame, from the embeddings of the distinct frames."""
        frames = np.zeros((len(mask), distinct.shape[1]), np.float16)
        if self._config.repeat == "zero":
            frames[mask] = distinct
        else:
            frames[:num_present] = distinct[np.cumsum(mask[:num_present]) - 1]
        return frames


class CaptionEmbedder:
    """Embeds captions with a text encoder."""

    def __init__(self, encoder: TextEncoder, batch_size: int) -> None:
        self._embedding_dim = encoder.embedding_dim
        self._batch_size = batch_size
        self._step = as_graph(encoder.model, tf.TensorSpec((None,), tf.string))

    def embed(self, captions: Sequence[str]) -> npt.NDArray[np.float32]:
        """Returns float32 (num_captions, caption_dim), in the order of the captions."""
        # Sorted by length, because a batch is padded to its longest caption.
        order = sorted(range(len(captions)), key=lambda i: len(captions[i]))
        rows = np.empty((len(captions), self._embedding_dim), np.float32)
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            rows[batch] = self._step(tf.constant([captions[i] for i in batch])).numpy()
        return rows


def _chunks(
    posts: Iterable[FrameRecord], chunk_frames: int
) -> Iterator[list[FrameRecord]]:
    chunk: list[FrameRecord] = []
    num_frames = 0
    for post in posts:
        chunk.append(post)
        num_frames += len(post.jpegs)
        if num_frames >= chunk_frames or len(chunk) >= _CHUNK_POSTS:
            yield chunk
            chunk, num_frames = [], 0
    if chunk:
        yield chunk


def _to_float16(rows: npt.NDArray[np.float32], video_id: str) -> Frames:
    with np.errstate(over="ignore"):
        halves = rows.astype(np.float16)
    if not np.isfinite(halves).all():
        raise DataError(
            "frame embeddings must be finite and within ±65504, the range of float16; "
            "try another layer or other weights. Received: largest magnitude "
            f"{np.abs(rows).max():g} in video_id={video_id!r}"
        )
    return halves
