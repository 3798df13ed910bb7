"""From raw captions and JPEG bytes to learned video embeddings, inside one graph.

The same steps as training, in the same order: decode, encode with the frozen networks,
round to float16 as cached features are, join with the proxy model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dc_keras.encoders.runtimes import float32_fingerprint
from dc_keras.encoders.text import TextEncoder, TextSpec, build_text_encoder
from dc_keras.encoders.vision import (
    VisionEncoder,
    VisionSpec,
    build_vision_encoder,
    decode_frame,
)
from dc_keras.errors import DataError
from dc_keras.models.proxy import embedding_model

# Frames that go through the vision network at a time: enough to keep it busy, few
# enough that 8 videos of 50 frames fit in memory.
_CHUNK_FRAMES = 32
# Of [PAD], the first piece of BERT's vocabularies.
_PAD_ID = 0


@dataclass(frozen=True)
class FrameRule:
    """How raw frames become those that the features were made from.

    Attributes:
        num_frames: slots of a post.
        frame_size: side of the recorded frames in px; others are resized to it, both
            sides alike.
        is_spread: whether a post with fewer frames repeats them over all slots; or,
            with frames taken at a fixed rate, leaves the last slots empty.
        repeat: what a repeated frame becomes: "nearest", the embedding of the frame
            that it repeats, or "zero".
    """

    num_frames: int
    frame_size: int
    is_spread: bool
    repeat: str

    @classmethod
    def of(cls, sampling: Mapping[str, Any]) -> FrameRule:
        """Returns the rule behind `VisionFeatures.sampling`."""
        return cls(
            num_frames=sampling["num_frames"],
            frame_size=sampling["image_size"],
            is_spread=sampling["fps"] == 0,
            repeat=sampling["repeat"],
        )

    def choose(self, frames: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Brings every post to `num_frames` frames, as the records do.

        Args:
            frames: string (batch_size, any), "" pads at the end.

        Returns:
            The JPEG files, string (batch_size, num_frames), "" for a slot without a
            frame; and the mask, bool alike: False where a slot repeats the one before
            it, or has no frame.
        """
        end = tf.fill((tf.shape(frames)[0], 1), "")
        chosen = tf.gather(
            tf.concat([frames, end], axis=1), self.slots(frames), batch_dims=1
        )
        chosen = tf.ensure_shape(chosen, (None, self.num_frames))
        before = tf.concat([end, chosen[:, :-1]], axis=1)
        return chosen, (chosen != before) & (tf.strings.length(chosen) > 0)

    def slots(self, frames: tf.Tensor) -> tf.Tensor:
        """Says which frame each slot takes, int32 (batch_size, num_frames).

        Spread, slot i takes frame floor((i + ½) · n / num_frames) of the n that are
        there. A slot without a frame has n, which is past the end or that of padding.

        Args:
            frames: as of `choose`.
        """
        slots = tf.range(self.num_frames)[None, :]
        count = tf.reduce_sum(tf.cast(tf.strings.length(frames) > 0, tf.int32), axis=1)
        if self.is_spread:
            return (2 * slots + 1) * count[:, None] // (2 * self.num_frames)
        return tf.minimum(slots, count[:, None])


class FrameReader:
    """A vision encoder from JPEG files on, traced once, whoever asks.

    Args:
        vision: the encoder.
        rule: how raw frames are brought to it.
    """

    def __init__(self, vision: VisionEncoder, rule: FrameRule) -> None:
        some = (None, rule.num_frames)
        self.rule = rule
        self.embed = tf.function(
            lambda jpegs, mask: _embed_frames(vision, rule, jpegs, mask),
            input_signature=[tf.TensorSpec(some, tf.string), tf.TensorSpec(some, bool)],
            autograph=False,
        )


class CaptionReader:
    """A text encoder from captions or tokens on, each traced once, whoever asks.

    Args:
        text: the encoder.

    Attributes:
        text: the same.
        takes_tokens: whether it embeds token ids too.
    """

    def __init__(self, text: TextEncoder) -> None:
        self.text = text
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
            raise RuntimeError("an encoder that tokenises itself takes no token ids")
        padding_mask = tf.cast(token_ids != _PAD_ID, tf.int32)
        return model({"token_ids": token_ids, "padding_mask": padding_mask})


class SeenPosts(NamedTuple):
    """Posts as the frozen networks see them.

    Attributes:
        frames: float32 (num_posts, num_frames, frame_dim), or None.
        frame_mask: bool (num_posts, num_frames), which are frames of their own, or
            None.
        caption: float32 (num_posts, caption_dim), or None.
    """

    frames: tf.Tensor | None
    frame_mask: tf.Tensor | None
    caption: tf.Tensor | None

    @property
    def mean_frames(self) -> tf.Tensor | None:
        """The mean of the own frames, float32 (num_posts, frame_dim), or None."""
        if self.frames is None:
            return None
        mask = tf.cast(self.frame_mask, tf.float32)
        count = tf.maximum(tf.reduce_sum(mask, axis=1, keepdims=True), 1.0)
        return tf.linalg.matvec(self.frames, mask / count, transpose_a=True)


@dataclass(frozen=True, eq=False)
class VideoGraph:
    """Embeds raw posts; call it inside a `tf.function`.

    Attributes:
        embedding: a proxy up to its learned video embedding; None for a model without
            videos, which sees captions and frames only as context.
        frames: reads frames; None for a text-only model.
        captions: reads captions; None for a vision-only model.
    """

    embedding: keras.Model | None
    frames: FrameReader | None
    captions: CaptionReader | None

    @property
    def video_dim(self) -> int:
        """The width of an embedded post."""
        return 0 if self.embedding is None else int(self.embedding.output.shape[-1])

    def layers_with_tables(self) -> list[keras.layers.Layer]:
        """Returns the layers whose lookup tables an export has to be told of."""
        if self.captions is None:
            return []
        return self.captions.text.layers_with_tables()

    def read(self, texts: tf.Tensor, frames: tf.Tensor) -> SeenPosts:
        """Runs the frozen networks on a batch of posts.

        Args:
            texts: captions, string (batch_size,), or the ids of their WordPieces, int32
                (batch_size, any), 0 where padded.
            frames: string (batch_size, any), JPEG files in order of time; "" pads at
                the end. See `FrameRule` for a post with more or fewer frames than the
                model was trained on.
        """
        encoded = mask = None
        if self.frames is not None:
            jpegs, mask = self.frames.rule.choose(frames)
            encoded = self.frames.embed(jpegs, mask)
        caption = None if self.captions is None else self.captions.embed(texts)
        return SeenPosts(encoded, mask, caption)

    def read_variants(
        self, texts: tf.Tensor, frames: tf.Tensor, kept: tf.Tensor
    ) -> SeenPosts:
        """Runs the frozen networks on posts with other captions, without some frames.

        Each frame is encoded once, however many variants there are; a slot whose frame
        a variant leaves out is one without a frame.

        Args:
            texts: a caption a variant, string (batch_size, num_variants).
            frames: string (batch_size, any), as of `read`.
            kept: bool (batch_size, num_variants, any), the frames that a variant has.

        Returns:
            batch_size · num_variants posts, the variants of a post side by side.
        """
        encoded = shown = None
        if self.frames is not None:
            rule = self.frames.rule
            jpegs, mask = rule.choose(frames)
            none = tf.zeros_like(kept[:, :, :1])
            is_shown = tf.gather(
                tf.concat([kept, none], axis=2),
                rule.slots(frames),
                axis=2,
                batch_dims=1,
            )
            encoded = self.frames.embed(jpegs, mask)[:, None]
            encoded *= tf.cast(is_shown, tf.float32)[..., None]
            flat = (-1, rule.num_frames)
            encoded = tf.reshape(encoded, (*flat, encoded.shape[-1]))
            shown = tf.reshape(is_shown & mask[:, None], flat)
        caption = None
        if self.captions is not None:
            caption = self.captions.embed(tf.reshape(texts, [-1]))
        return SeenPosts(encoded, shown, caption)

    def embed(self, seen: SeenPosts) -> tf.Tensor:
        """Returns the learned embeddings of posts, float32 (num_posts, video_dim)."""
        if self.embedding is None:
            raise RuntimeError("a model without videos has no video embedding")
        inputs: dict[str, tf.Tensor | None] = {}
        if seen.frames is not None:
            inputs |= {"frames": seen.frames, "frame_mask": seen.frame_mask}
        if seen.caption is not None:
            inputs["caption"] = seen.caption
        return self.embedding(inputs, training=False)


class Encoders:
    """Builds each frozen network once, whichever sides share it."""

    def __init__(self) -> None:
        self._readers: dict[str, Any] = {}

    def video_graph(
        self, proxy: keras.Model | None, side: Mapping[str, Any]
    ) -> VideoGraph:
        """Returns the graph of one side.

        Args:
            proxy: the side's proxy model; None for a model without videos.
            side: the side's part of a model's configuration.

        Raises:
            DataError: an encoder has other weights than the one that made the features,
                or that one computed in int8.
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
            frames=vision and self._frames(vision, FrameRule.of(side["sampling"])),
            captions=text and self._captions(text),
        )

    def _frames(self, settings: Mapping[str, Any], rule: FrameRule) -> FrameReader:
        made_by = float32_fingerprint(settings)
        key = f"{made_by} {rule}"
        if key not in self._readers:
            vision = build_vision_encoder(VisionSpec.from_settings(settings))
            _require_fingerprint(vision, made_by)
            self._readers[key] = FrameReader(vision, rule)
        found: FrameReader = self._readers[key]
        return found

    def _captions(self, settings: Mapping[str, Any]) -> CaptionReader:
        key = settings["fingerprint"]
        if key not in self._readers:
            text = build_text_encoder(TextSpec.from_settings(settings))
            _require_fingerprint(text, key)
            self._readers[key] = CaptionReader(text)
        found: CaptionReader = self._readers[key]
        return found


def _require_fingerprint(encoder: Any, wanted: str) -> None:
    if encoder.fingerprint != wanted:
        raise DataError(
            f"the encoder {encoder.spec} has other weights than the one that made the "
            "features; bring the weights back, or extract features and train anew"
        )


def _embed_frames(
    vision: VisionEncoder, rule: FrameRule, jpegs: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
    """Encodes each distinct frame once and copies it to its repeats."""
    encoded = _encode_in_chunks(vision, rule.frame_size, tf.boolean_mask(jpegs, mask))
    # Cached features are float16: serving rounds alike, or scores would differ.
    encoded = tf.cast(tf.cast(encoded, tf.float16), tf.float32)
    encoded = tf.concat([tf.zeros((1, vision.embedding_dim)), encoded], axis=0)
    is_shown = mask if rule.repeat == "zero" else tf.strings.length(jpegs) > 0
    position = tf.cumsum(tf.cast(tf.reshape(mask, [-1]), tf.int32))
    position = tf.reshape(position, tf.shape(mask)) * tf.cast(is_shown, tf.int32)
    rows = tf.gather(encoded, position)
    return tf.ensure_shape(rows, (None, rule.num_frames, vision.embedding_dim))


def _encode_in_chunks(
    vision: VisionEncoder, frame_size: int, jpegs: tf.Tensor
) -> tf.Tensor:
    """Encodes JPEG files (any,) → float32 (any, frame_dim), some at a time.

    Memory stays flat however many there are.
    """
    total = tf.shape(jpegs)[0]
    num_chunks = -(-total // _CHUNK_FRAMES)
    sides = (frame_size, frame_size)

    @tf.autograph.experimental.do_not_convert
    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        # By area, as recorded frames are shrunk; a frame of this size stays as it is.
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
