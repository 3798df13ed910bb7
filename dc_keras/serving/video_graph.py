"""From raw captions and JPEG bytes to learned video embeddings, inside one graph.

The same steps as training, in the same order: decode, encode with the frozen networks,
round to float16 as cached features are, join with the proxy model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from dc_keras.encoders.text import TextEncoder
from dc_keras.encoders.vision import VisionEncoder, decode_frame

# Frames that go through the vision network at a time: enough to keep it busy, few
# enough that 8 videos of 50 frames fit in memory.
_CHUNK_FRAMES = 32


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

        Spread, slot i takes frame floor((i + ½) · n / num_frames) of the n that are
        there.

        Args:
            frames: string (batch_size, any), "" pads at the end.

        Returns:
            The JPEG files, string (batch_size, num_frames), "" for a slot without a
            frame; and the mask, bool alike: False where a slot repeats the one before
            it, or has no frame.
        """
        batch_size = tf.shape(frames)[0]
        slots = tf.range(self.num_frames)[None, :]
        count = tf.reduce_sum(tf.cast(tf.strings.length(frames) > 0, tf.int32), axis=1)
        if self.is_spread:
            index = (2 * slots + 1) * count[:, None] // (2 * self.num_frames)
        else:
            index = tf.minimum(slots, count[:, None])
        end = tf.fill((batch_size, 1), "")
        chosen = tf.gather(tf.concat([frames, end], axis=1), index, batch_dims=1)
        chosen = tf.ensure_shape(chosen, (None, self.num_frames))
        before = tf.concat([end, chosen[:, :-1]], axis=1)
        return chosen, (chosen != before) & (tf.strings.length(chosen) > 0)


@dataclass(frozen=True)
class VideoGraph:
    """Embeds raw posts; call it inside a `tf.function`.

    Attributes:
        embedding: a proxy up to its learned video embedding.
        vision: the vision encoder, or None for a text-only model.
        frame_rule: how raw frames are brought to it; None without vision.
        text: the text encoder, or None for a vision-only model.
    """

    embedding: keras.Model
    vision: VisionEncoder | None
    frame_rule: FrameRule | None
    text: TextEncoder | None

    def layers_with_tables(self) -> list[keras.layers.Layer]:
        """Returns the layers whose lookup tables an export has to be told of."""
        return [] if self.text is None else [self.text.model.get_layer("pack")]

    def __call__(self, captions: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Embeds a batch of posts.

        Args:
            captions: string (batch_size,).
            frames: string (batch_size, any), JPEG files in order of time; "" pads at
                the end. See `FrameRule` for a post with more or fewer frames than the
                model was trained on.

        Returns:
            float32 (batch_size, video_dim).
        """
        inputs = {}
        if self.vision is not None and self.frame_rule is not None:
            jpegs, mask = self.frame_rule.choose(frames)
            inputs["frames"] = _embed_frames(self.vision, self.frame_rule, jpegs, mask)
            inputs["frame_mask"] = mask
        if self.text is not None:
            inputs["caption"] = self.text.model(captions)
        return self.embedding(inputs, training=False)


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
