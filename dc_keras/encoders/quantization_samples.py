"""Draws the frames of a corpus for the calibration and evaluation of quantisation.

Frames are drawn by their hashes, so the result depends neither on the shards nor on the
order of the posts.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from dc_keras.errors import DataError
from tfrecords.schema import FrameRecord

NUM_CALIBRATION_FRAMES = 300
NUM_HELD_OUT_FRAMES = 100
# One of this many posts is held out with all of its frames, because the frames of one
# video are too similar to be used for both calibration and evaluation.
_HELD_OUT_POSTS = 4
_FEWEST_FRAMES = 10


@dataclass(frozen=True)
class CalibrationFrames:
    """Distinct frames that were drawn from a corpus.

    Attributes:
        calibration: JPEG files for the calibration of the int8 ranges.
        held_out: JPEG files of other posts for the evaluation.
        seed: seed of the draw.
    """

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

    Args:
        posts: the posts of a corpus, in any order; read once.
        num_calibration: maximum number of calibration frames.
        num_held_out: maximum number of held-out frames.
        seed: seed of the draw.

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
    """Collects the distinct frames with the smallest hashes.

    Args:
        size: number of frames.
        seed: seed of the hashes.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._start = hashlib.sha256(f"frame {seed} ".encode())
        self._kept: dict[bytes, bytes] = {}

    def add(self, jpeg: bytes) -> None:
        """Adds a frame."""
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
