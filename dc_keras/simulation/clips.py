"""The videos of the simulated world: short mp4 files that show a visual taste.

The first three components of a look set the red, green and blue level of the
background; the fourth sets the size and the speed of a moving shape. The shape usually
depends on the community of the author.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

# Levels, of 255, by which a component of 1 differs from mid-grey.
_LEVELS_PER_TASTE = 45.0
# Levels by which the background darkens from top to bottom.
_SHADE = 24.0
_DARK, _LIGHT = (24, 24, 24), (232, 232, 232)


def _regular(corners: int, inner: float = 1.0) -> NDArray[np.float64]:
    """Returns a polygon on the unit circle, every second corner at radius `inner`."""
    angles = np.arange(corners) * 2 * np.pi / corners - np.pi / 2
    radii = np.where(np.arange(corners) % 2, inner, 1.0)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _rectangle(half_width: float, half_height: float) -> NDArray[np.float64]:
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
    return corners * (half_width, half_height)


SHAPES: dict[str, NDArray[np.float64]] = {
    "disc": _regular(48),
    "bar": _rectangle(1.6, 0.35),
    "star": _regular(10, inner=0.4),
    "column": _rectangle(0.35, 1.6),
    "triangle": _regular(3),
    "square": _rectangle(0.9, 0.9),
    "diamond": _regular(4),
    "burst": _regular(24, inner=0.6),
}
"""Outlines by name, float64 (num_corners, 2), x right and y down, about unit size."""


def draw_frames(
    look: NDArray[np.float64],
    shape: str,
    *,
    num_frames: int,
    width: int,
    height: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.uint8]]:
    """Draws the frames of one video.

    Args:
        look: visual taste, float64 (4,), about unit variance.
        shape: one of `SHAPES`.
        num_frames: number of frames.
        width: pixels.
        height: pixels.
        rng: random generator for the starting angle of the shape.

    Yields:
        BGR frames, uint8 (height, width, 3), as OpenCV writes them.
    """
    background = _background(look[:3], width, height)
    ink = _DARK if background.mean() > 127 else _LIGHT
    radius = width * float(np.clip(0.25 + 0.08 * look[3], 0.10, 0.42))
    # Radians per frame: a turn takes between a second and most of the clip.
    speed = float(np.clip(0.25 + 0.12 * look[3], 0.05, 0.6))
    phase = rng.uniform(0, 2 * np.pi)
    for index in range(num_frames):
        angle = phase + speed * index
        centre = np.array(
            [width * (0.5 + 0.2 * np.cos(angle)), height * (0.5 + 0.2 * np.sin(angle))]
        )
        frame = background.copy()
        outline = np.rint(centre + radius * SHAPES[shape]).astype(np.int32)
        cv2.fillPoly(frame, [outline], ink, lineType=cv2.LINE_AA)
        yield frame


def _background(
    colour: NDArray[np.float64], width: int, height: int
) -> NDArray[np.uint8]:
    red_green_blue = 128.0 + _LEVELS_PER_TASTE * colour
    shade = np.linspace(_SHADE / 2, -_SHADE / 2, height)[:, np.newaxis, np.newaxis]
    levels = np.clip(red_green_blue[::-1] + shade, 0, 255)
    return np.rint(np.broadcast_to(levels, (height, width, 3))).astype(np.uint8)


def write_video(path: Path, frames: Iterator[NDArray[np.uint8]], fps: int) -> None:
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
