"""Selects the frames of a post inside a graph, as in the features of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class FrameRule:
    """The selection of a post's frames, as in the features of training.

    Attributes:
        num_frames: number of frame slots of a post.
        frame_size: width and height of the recorded frames in px; other frames are
            resized to it.
        is_spread: True repeats the frames of a post with fewer frames over all slots;
            False leaves the last slots empty (frames sampled at a fixed rate).
        repeat: embedding of a repeated frame: "nearest" copies that of the frame,
            "zero" is zero.
    """

    num_frames: int
    frame_size: int
    is_spread: bool
    repeat: str

    @classmethod
    def of(cls, sampling: Mapping[str, Any]) -> FrameRule:
        """Returns the rule for the settings of `VisionFeatures.sampling`."""
        return cls(
            num_frames=sampling["num_frames"],
            frame_size=sampling["image_size"],
            is_spread=sampling["fps"] == 0,
            repeat=sampling["repeat"],
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

        If `is_spread`, slot i has the frame floor((i + ½) · n / num_frames) of n
        frames. An empty slot has the index n, which is padding or past the end.

        Args:
            frames: as for `choose`.
        """
        slots = tf.range(self.num_frames)[None, :]
        count = tf.reduce_sum(tf.cast(tf.strings.length(frames) > 0, tf.int32), axis=1)
        if self.is_spread:
            return (2 * slots + 1) * count[:, None] // (2 * self.num_frames)
        return tf.minimum(slots, count[:, None])
