"""The videos of the simulated world: short mp4 files that show a visual taste."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dc_keras.simulation.scenes import SCENES, Picture
from dc_keras.simulation.wording import taste_weights

_NUM_SHOTS = 3
# Size of the picture that a shot pans over, relative to a frame.
_PICTURE_SCALE = 1.25


def draw_frames(
    look: NDArray[np.float64],
    *,
    num_frames: int,
    width: int,
    height: int,
    rng: np.random.Generator,
) -> Iterator[Picture]:
    """Draws the frames of one video.

    A video has up to three shots of equal length. Each pans over one of `SCENES`, which
    is drawn with the probabilities that the visual taste gives.

    Args:
        look: visual taste, float64 (4,), about unit variance.
        num_frames: number of frames.
        width: pixels.
        height: pixels.
        rng: random generator.

    Yields:
        BGR frames, uint8 (height, width, 3), as OpenCV writes them.
    """
    weights = taste_weights(look)
    cuts = np.linspace(0, num_frames, min(_NUM_SHOTS, num_frames) + 1)
    for length in np.diff(np.rint(cuts).astype(int)).tolist():
        paint = SCENES[rng.choice(len(SCENES), p=weights)]
        size = (round(height * _PICTURE_SCALE), round(width * _PICTURE_SCALE))
        picture = np.zeros((*size, 3), np.uint8)
        paint(picture, rng)
        yield from _pan(picture, length, width, height, rng)


def _pan(
    picture: Picture, length: int, width: int, height: int, rng: np.random.Generator
) -> Iterator[Picture]:
    """Yields windows of a picture that move between two random places."""
    room = np.array(picture.shape[:2]) - (height, width)
    start, end = rng.uniform(size=(2, 2)) * room
    for share in np.linspace(0, 1, length):
        top, left = np.rint(start + share * (end - start)).astype(int).tolist()
        yield picture[top : top + height, left : left + width]


def write_video(path: Path, frames: Iterator[Picture], fps: int) -> None:
    """Encodes BGR frames, uint8 (height, width, 3), as MPEG-4 in an mp4 file.

    Raises:
        OSError: OpenCV cannot write the file.
    """
    first = next(frames)
    height, width = first.shape[:2]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), codec, float(fps), (width, height))
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write an mp4 file. Received: path={path}")
    writer.write(first)
    for frame in frames:
        writer.write(frame)
    writer.release()
