"""Which frames of a corpus a quantised network is calibrated on, and judged by.

Frames are drawn by hashes, so that equal posts give equal frames however they are cut
into shards and in whatever order they come.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dc_keras.errors import DataError

NUM_CALIBRATION_FRAMES = 300
NUM_HELD_OUT_FRAMES = 100
# One post of so many is held out with all of its frames: frames of one video are too
# alike to judge what was calibrated on its other frames.
_HELD_OUT_POSTS = 4
_FEWEST_FRAMES = 10


class PostWithFrames(Protocol):
    """What is read of a frame record."""

    @property
    def video_id(self) -> str:
        """Id of the post."""

    @property
    def jpegs(self) -> Sequence[bytes]:
        """The frames in order; none without media."""


@dataclass(frozen=True)
class CalibrationFrames:
    """Frames drawn from a corpus, none of them twice.

    Attributes:
        calibration: JPEG files that the ranges of int8 are taken from.
        held_out: JPEG files, of other posts, that the result is judged by.
        seed: what they were drawn with.
    """

    calibration: tuple[bytes, ...]
    held_out: tuple[bytes, ...]
    seed: int

    @property
    def sha256(self) -> str:
        """The hash of the calibration frames, hex."""
        digest = hashlib.sha256()
        for jpeg in self.calibration:
            digest.update(hashlib.sha256(jpeg).digest())
        return digest.hexdigest()


def draw_frames(
    posts: Iterable[PostWithFrames],
    *,
    num_calibration: int = NUM_CALIBRATION_FRAMES,
    num_held_out: int = NUM_HELD_OUT_FRAMES,
    seed: int = 0,
) -> CalibrationFrames:
    """Draws frames to calibrate on, and others to judge by.

    One post in four is held out. Of the distinct frames on each side those with the
    smallest hashes are drawn: all with the same chance. A held-out frame that is a
    calibration frame too, byte for byte, is left out.

    Args:
        posts: the posts of a corpus, in any order; read once.
        num_calibration: frames to calibrate on, at most.
        num_held_out: frames to judge by, at most.
        seed: equal seeds draw equal frames.

    Raises:
        DataError: the posts have fewer than ten frames for either.
    """
    # Up to all of the calibration frames may have to be left out of the others.
    calibration = _SmallestHashes(num_calibration, seed)
    held_out = _SmallestHashes(num_held_out + num_calibration, seed)
    for post in posts:
        side = held_out if _is_held_out(post.video_id, seed) else calibration
        for jpeg in post.jpegs:
            side.add(jpeg)
    known = calibration.drawn()
    others = [jpeg for key, jpeg in held_out.drawn().items() if key not in known]
    drawn = CalibrationFrames(tuple(known.values()), tuple(others[:num_held_out]), seed)
    if min(len(drawn.calibration), len(drawn.held_out)) < _FEWEST_FRAMES:
        raise DataError(
            f"int8 needs at least {_FEWEST_FRAMES} distinct frames to calibrate on and "
            f"{_FEWEST_FRAMES} of held-out posts. Received: {len(drawn.calibration)} "
            f"and {len(drawn.held_out)} in these frame records"
        )
    return drawn


class _SmallestHashes:
    """Keeps the distinct frames whose hashes are the smallest.

    Args:
        size: how many.
        seed: part of every hash.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._start = hashlib.sha256(f"frame {seed} ".encode())
        self._kept: dict[bytes, bytes] = {}

    def add(self, jpeg: bytes) -> None:
        """Takes one more frame into account."""
        digest = self._start.copy()
        digest.update(jpeg)
        self._kept[digest.digest()] = jpeg
        # Seldom, so that it costs nothing, and often enough that few are kept.
        if len(self._kept) > 4 * self._size:
            self._kept = self.drawn()

    def drawn(self) -> dict[bytes, bytes]:
        """Returns hash → frame, the smallest hash first."""
        return {key: self._kept[key] for key in heapq.nsmallest(self._size, self._kept)}


def _is_held_out(video_id: str, seed: int) -> bool:
    digest = hashlib.sha256(f"post {seed} {video_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _HELD_OUT_POSTS == 0
