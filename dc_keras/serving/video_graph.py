"""Embeds raw captions and JPEG bytes of posts inside one graph.

The steps are those of training: decode, encode with the frozen networks, round to
float16 like cached features, and apply the proxy model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dc_keras.encoders.frame_batches import decode_frame
from dc_keras.encoders.text import TextEncoder, TextSpec, build_text_encoder
from dc_keras.encoders.vision import (
    VisionEncoder,
    VisionSpec,
    build_vision_encoder,
    float32_fingerprint,
)
from dc_keras.errors import DataError
from dc_keras.models.proxy import embedding_model

# Frames per step of the vision network, so that the memory of 8 videos of 50 frames is
# limited.
_CHUNK_FRAMES = 32
# The id of [PAD], the first entry of BERT's vocabularies.
_PAD_ID = 0
# The settings of the frame sampling that matter for frames of a request.
_FRAME_RULE = ("num_frames", "image_size", "fps", "repeat")


class FrameReader:
    """Selects, decodes and encodes the frames of posts, as in the features of training.

    `embed` is traced once for all signatures.

    Args:
        vision: the encoder.
        sampling: `VisionFeatures.sampling`. With `fps` 0, the frames of a post with
            fewer frames are repeated over all slots; otherwise, the last slots are
            empty. With `repeat` "zero", the embedding of a repeated frame is zero.

    Attributes:
        num_frames: number of frame slots of a post.
        dim: width of an encoded frame.
    """

    def __init__(self, vision: VisionEncoder, sampling: Mapping[str, Any]) -> None:
        self.dim = vision.embedding_dim
        self.num_frames: int = sampling["num_frames"]
        self._vision = vision
        self._sampling = sampling
        some = (None, self.num_frames)
        self.embed = tf.function(
            self._embed,
            input_signature=[tf.TensorSpec(some, tf.string), tf.TensorSpec(some, bool)],
            autograph=False,
        )

    def choose(self, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Selects `num_frames` frames of every post.

        Args:
            frames: JPEG files, padded with "" at the end, string (batch_size, any).

        Returns:
            The JPEG files, "" for an empty slot, string (batch_size, num_frames); and
            the mask, False where a slot is empty or repeats the slot before it, bool
            (batch_size, num_frames).
        """
        end = tf.fill((tf.shape(frames)[0], 1), "")
        chosen = tf.gather(
            tf.concat([frames, end], axis=1), self.slots(frames), batch_dims=1
        )
        chosen = tf.ensure_shape(chosen, (None, self.num_frames))
        before = tf.concat([end, chosen[:, :-1]], axis=1)
        return chosen, (chosen != before) & (tf.strings.length(chosen) > 0)

    def slots(self, frames: tf.Tensor) -> tf.Tensor:
        """Returns the index of the frame of each slot, int32 (batch_size, num_frames).

        Slot i has the frame floor((i + ½) · n / num_frames) of n frames, or, at a fixed
        rate, frame i. An empty slot has the index n, which is padding or past the end.
        """
        slots = tf.range(self.num_frames)[None, :]
        count = tf.reduce_sum(tf.cast(tf.strings.length(frames) > 0, tf.int32), axis=1)
        if self._sampling["fps"] == 0:
            return (2 * slots + 1) * count[:, None] // (2 * self.num_frames)
        return tf.minimum(slots, count[:, None])

    def _embed(self, jpegs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Encodes each distinct frame once and copies the result to its repetitions."""
        size = self._sampling["image_size"]
        encoded = _encode_in_chunks(self._vision, size, tf.boolean_mask(jpegs, mask))
        # Cached features are float16; without the same rounding, scores would differ.
        encoded = tf.cast(tf.cast(encoded, tf.float16), tf.float32)
        encoded = tf.concat([tf.zeros((1, self.dim)), encoded], axis=0)
        is_zero = self._sampling["repeat"] == "zero"
        is_shown = mask if is_zero else tf.strings.length(jpegs) > 0
        position = tf.cumsum(tf.cast(tf.reshape(mask, [-1]), tf.int32))
        position = tf.reshape(position, tf.shape(mask)) * tf.cast(is_shown, tf.int32)
        rows = tf.gather(encoded, position)
        return tf.ensure_shape(rows, (None, self.num_frames, self.dim))


class CaptionReader:
    """Encodes captions or tokens; each is traced once for all signatures.

    Args:
        text: the encoder.

    Attributes:
        text: the encoder.
        dim: width of an encoded caption.
        takes_tokens: whether it also accepts token ids.
    """

    def __init__(self, text: TextEncoder) -> None:
        self.text = text
        self.dim = text.embedding_dim
        self.takes_tokens = text.token_model is not None
        self._of_captions = tf.function(
            text.model.call,
            input_signature=[tf.TensorSpec((None,), tf.string)],
            autograph=False,
        )
        self._of_tokens = tf.function(
            self._embed_tokens,
            input_signature=[tf.TensorSpec((None, None), tf.int32)],
            autograph=False,
        )

    def embed(self, texts: tf.Tensor) -> tf.Tensor:
        """Embeds captions or token ids; see `VideoGraph`."""
        is_caption = texts.dtype == tf.string
        return self._of_captions(texts) if is_caption else self._of_tokens(texts)

    def _embed_tokens(self, token_ids: tf.Tensor) -> tf.Tensor:
        model = self.text.token_model
        if model is None:
            raise RuntimeError("this encoder tokenises captions and takes no token ids")
        padding_mask = tf.cast(token_ids != _PAD_ID, tf.int32)
        return model({"token_ids": token_ids, "padding_mask": padding_mask})


class EncodedPosts(NamedTuple):
    """Outputs of the frozen networks for posts.

    Attributes:
        frames: encoded frames, float32 (num_posts, num_frames, frame_dim), or None.
        frame_mask: True for distinct frames, False for repeated and missing ones, bool
            (num_posts, num_frames), or None.
        caption: encoded captions, float32 (num_posts, caption_dim), or None.
    """

    frames: tf.Tensor | None
    frame_mask: tf.Tensor | None
    caption: tf.Tensor | None

    @property
    def mean_frames(self) -> tf.Tensor | None:
        """The mean of the distinct frames, float32 (num_posts, frame_dim), or None."""
        if self.frames is None:
            return None
        mask = tf.cast(self.frame_mask, tf.float32)
        count = tf.maximum(tf.reduce_sum(mask, axis=1, keepdims=True), 1.0)
        return tf.linalg.matvec(self.frames, mask / count, transpose_a=True)


@dataclass(frozen=True, eq=False)
class VideoGraph:
    """Embeds raw posts; call it inside a `tf.function`.

    Attributes:
        embedding: the proxy model up to its video embedding; None for a baseline of the
            paper, and for a model that uses captions and frames only as context.
        frames: encodes frames; None for a text-only model.
        captions: encodes captions; None for a vision-only model.
        is_mean: whether an embedded post is the mean of its frames joined with its
            caption, as for a baseline of the paper.
    """

    embedding: keras.Model | None
    frames: FrameReader | None
    captions: CaptionReader | None
    is_mean: bool = False

    @property
    def video_dim(self) -> int:
        """The width of an embedded post; 0 for a model that does not embed it."""
        if self.is_mean:
            return sum(part.dim for part in (self.frames, self.captions) if part)
        return 0 if self.embedding is None else int(self.embedding.output.shape[-1])

    def layers_with_tables(self) -> list[keras.layers.Layer]:
        """Returns the layers with lookup tables, which an export must track."""
        if self.captions is None:
            return []
        return self.captions.text.layers_with_tables()

    def read(self, texts: tf.Tensor, frames: tf.Tensor) -> EncodedPosts:
        """Runs the frozen networks on a batch of posts.

        Args:
            texts: captions, string (batch_size,), or WordPiece ids padded with 0, int32
                (batch_size, any).
            frames: JPEG files in order of time, padded with "" at the end, string
                (batch_size, any); see `FrameReader.choose`.
        """
        encoded = mask = None
        if self.frames is not None:
            jpegs, mask = self.frames.choose(frames)
            encoded = self.frames.embed(jpegs, mask)
        caption = None if self.captions is None else self.captions.embed(texts)
        return EncodedPosts(encoded, mask, caption)

    def read_variants(
        self, texts: tf.Tensor, frames: tf.Tensor, kept: tf.Tensor
    ) -> EncodedPosts:
        """Runs the frozen networks on variants of posts; each frame is encoded once.

        Args:
            texts: caption of each variant, string (batch_size, num_variants).
            frames: JPEG files of each post, string (batch_size, any), as for `read`.
            kept: the frames of each variant, bool (batch_size, num_variants, any); the
                slot of a missing frame is empty.

        Returns:
            batch_size · num_variants posts, ordered by post.
        """
        encoded = shown = None
        if self.frames is not None:
            jpegs, mask = self.frames.choose(frames)
            none = tf.zeros_like(kept[:, :, :1])
            is_shown = tf.gather(
                tf.concat([kept, none], axis=2),
                self.frames.slots(frames),
                axis=2,
                batch_dims=1,
            )
            encoded = self.frames.embed(jpegs, mask)[:, None]
            encoded *= tf.cast(is_shown, tf.float32)[..., None]
            flat = (-1, self.frames.num_frames)
            encoded = tf.reshape(encoded, (*flat, encoded.shape[-1]))
            shown = tf.reshape(is_shown & mask[:, None], flat)
        caption = None
        if self.captions is not None:
            caption = self.captions.embed(tf.reshape(texts, [-1]))
        return EncodedPosts(encoded, shown, caption)

    def embed(self, posts: EncodedPosts) -> tf.Tensor:
        """Returns the embeddings of posts, float32 (num_posts, video_dim)."""
        if self.is_mean:
            parts = [
                part for part in (posts.mean_frames, posts.caption) if part is not None
            ]
            return tf.concat(parts, axis=1)
        if self.embedding is None:
            raise RuntimeError("a model without videos has no video embedding")
        inputs: dict[str, tf.Tensor | None] = {}
        if posts.frames is not None:
            inputs |= {"frames": posts.frames, "frame_mask": posts.frame_mask}
        if posts.caption is not None:
            inputs["caption"] = posts.caption
        return self.embedding(inputs, training=False)


class Encoders:
    """Builds each frozen network once, also if both sides use it."""

    def __init__(self) -> None:
        self._readers: dict[str, Any] = {}

    def video_graph(
        self,
        proxy: keras.Model | None,
        side: Mapping[str, Any],
        *,
        is_mean: bool = False,
    ) -> VideoGraph:
        """Returns the graph of one side.

        Args:
            proxy: proxy model of the side; None for a model without proxies.
            side: settings of the side in the model's configuration.
            is_mean: see `VideoGraph`.

        Raises:
            DataError: an encoder has other weights than the one that made the features,
                or the features were made in int8.
        """
        vision, text = side["vision"], side["text"]
        for spec in (vision, text):
            if spec and spec.get("fingerprint") is None:
                raise DataError(
                    "a bundle that reads raw posts needs features that "
                    "extract_features made. Received: features of "
                    f"{spec.get('name')!r} from arrays"
                )
        return VideoGraph(
            embedding=None if proxy is None else embedding_model(proxy),
            frames=vision and self._frame_reader(vision, side["sampling"]),
            captions=text and self._caption_reader(text),
            is_mean=is_mean,
        )

    def _frame_reader(
        self, settings: Mapping[str, Any], sampling: Mapping[str, Any]
    ) -> FrameReader:
        made_by = float32_fingerprint(settings)
        key = f"{made_by} {[sampling[name] for name in _FRAME_RULE]}"
        if key not in self._readers:
            vision = build_vision_encoder(VisionSpec.from_settings(settings))
            _require_fingerprint(vision, made_by)
            self._readers[key] = FrameReader(vision, sampling)
        reader: FrameReader = self._readers[key]
        return reader

    def _caption_reader(self, settings: Mapping[str, Any]) -> CaptionReader:
        key = settings["fingerprint"]
        if key not in self._readers:
            text = build_text_encoder(TextSpec.from_settings(settings))
            _require_fingerprint(text, key)
            self._readers[key] = CaptionReader(text)
        reader: CaptionReader = self._readers[key]
        return reader


def _require_fingerprint(encoder: Any, expected: str) -> None:
    if encoder.fingerprint != expected:
        raise DataError(
            f"the encoder {encoder.spec} has other weights than the one that made the "
            "features; restore the weights, or extract features and train again"
        )


def _encode_in_chunks(
    vision: VisionEncoder, frame_size: int, jpegs: tf.Tensor
) -> tf.Tensor:
    """Encodes JPEG files in chunks, to limit memory; float32 (num_jpegs, frame_dim)."""
    total = tf.shape(jpegs)[0]
    num_chunks = -(-total // _CHUNK_FRAMES)
    sides = (frame_size, frame_size)

    @tf.autograph.experimental.do_not_convert
    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        # The method of recorded frames; a frame of this size is not changed.
        image = tf.image.resize(decode_frame(jpeg), sides, method="area")
        return tf.cast(tf.round(image), tf.uint8)

    def encode(chunk: Any) -> tf.Tensor:
        part = jpegs[chunk * _CHUNK_FRAMES : (chunk + 1) * _CHUNK_FRAMES]
        images = tf.map_fn(decode, part, fn_output_signature=tf.uint8)
        return vision.model(tf.ensure_shape(images, (None, *sides, 3)))

    def body(chunk: Any, done: Any) -> tuple[Any, Any]:
        return chunk + 1, tf.concat([done, encode(chunk)], axis=0)

    empty = tf.zeros((0, vision.embedding_dim))
    _, encoded = tf.while_loop(
        lambda chunk, _: chunk < num_chunks,
        body,
        (0, empty),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None, vision.embedding_dim]),
        ),
        parallel_iterations=1,
    )
    return encoded
