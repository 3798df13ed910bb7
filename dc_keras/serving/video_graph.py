"""From raw captions and JPEG bytes to learned video embeddings, inside one graph.

The same steps as training, in the same order: decode, encode with the frozen networks,
round to float16 as cached features are, join with the proxy model.
"""

from __future__ import annotations

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
class VideoGraph:
    """Embeds raw videos; call it inside a `tf.function`.

    Attributes:
        embedding: a proxy up to its learned video embedding.
        vision: the vision encoder, or None for a text-only model.
        text: the text encoder, or None for a vision-only model.
        num_frames: frames a video that the proxy was trained on.
    """

    embedding: keras.Model
    vision: VisionEncoder | None
    text: TextEncoder | None
    num_frames: int

    def resources(self) -> list[keras.Model]:
        """Returns the models whose variables an export has to track."""
        encoders = [e.model for e in (self.vision, self.text) if e is not None]
        return [self.embedding, *encoders]

    def __call__(self, captions: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        """Embeds a batch of videos.

        Args:
            captions: string (batch_size,).
            frames: string (batch_size, any), JPEG files in order of time; "" pads at
                the end. A video with fewer frames than the model was trained on repeats
                the nearest ones, one with more is sampled evenly.

        Returns:
            float32 (batch_size, video_dim).
        """
        inputs = {}
        if self.vision is not None:
            jpegs, mask = choose_frames(frames, self.num_frames)
            inputs["frames"] = self._embed_frames(self.vision, jpegs, mask)
            inputs["frame_mask"] = mask
        if self.text is not None:
            inputs["caption"] = self.text.model(captions)
        return self.embedding(inputs, training=False)

    def _embed_frames(
        self, vision: VisionEncoder, jpegs: tf.Tensor, mask: tf.Tensor
    ) -> tf.Tensor:
        """Encodes each distinct frame once and copies it to its repeats."""
        own = tf.boolean_mask(jpegs, mask)
        encoded = encode_in_chunks(vision, own)
        # Cached features are float16: serving rounds alike, or scores would differ.
        encoded = tf.cast(tf.cast(encoded, tf.float16), tf.float32)
        encoded = tf.concat([tf.zeros((1, vision.embedding_dim)), encoded], axis=0)
        has_frame = tf.strings.length(jpegs) > 0
        position = tf.cumsum(tf.cast(tf.reshape(mask, [-1]), tf.int32))
        position = tf.reshape(position, tf.shape(mask)) * tf.cast(has_frame, tf.int32)
        return tf.ensure_shape(
            tf.gather(encoded, position),
            (None, self.num_frames, vision.embedding_dim),
        )


def choose_frames(frames: tf.Tensor, num_frames: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Brings every video to `num_frames` frames, as the records do.

    Slot i takes frame floor((i + ½) · n / num_frames) of the n that are there.

    Args:
        frames: string (batch_size, any), "" pads at the end.
        num_frames: slots.

    Returns:
        The JPEG files, string (batch_size, num_frames), "" for a video without frames;
        and the mask, bool alike: False where a slot repeats the one before it, or has
        no frame.
    """
    count = tf.reduce_sum(tf.cast(tf.strings.length(frames) > 0, tf.int32), axis=1)
    middle = 2 * tf.range(num_frames)[None, :] + 1
    index = middle * count[:, None] // (2 * num_frames)
    padded = tf.concat([frames, tf.fill((tf.shape(frames)[0], 1), "")], axis=1)
    chosen = tf.ensure_shape(tf.gather(padded, index, batch_dims=1), (None, num_frames))
    before = tf.concat([tf.fill((tf.shape(chosen)[0], 1), ""), chosen[:, :-1]], axis=1)
    return chosen, (chosen != before) & (tf.strings.length(chosen) > 0)


def encode_in_chunks(vision: VisionEncoder, jpegs: tf.Tensor) -> tf.Tensor:
    """Decodes and encodes JPEG files, some at a time, so that memory stays flat.

    Args:
        vision: the vision encoder.
        jpegs: string (any,).

    Returns:
        float32 (any, frame_dim).
    """
    total = tf.shape(jpegs)[0]
    num_chunks = -(-total // _CHUNK_FRAMES)
    size = vision.spec.image_size

    def decode(jpeg: tf.Tensor) -> tf.Tensor:
        image = tf.image.resize(decode_frame(jpeg), (size, size))
        return tf.cast(tf.round(image), tf.uint8)

    def encode(chunk: Any) -> tf.Tensor:
        part = jpegs[chunk * _CHUNK_FRAMES : (chunk + 1) * _CHUNK_FRAMES]
        images = tf.map_fn(decode, part, fn_output_signature=tf.uint8)
        return vision.model(tf.ensure_shape(images, (None, size, size, 3)))

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
