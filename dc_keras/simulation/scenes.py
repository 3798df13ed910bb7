"""The scenes of the simulated clips, which networks trained on photographs tell apart.

Each of the four components of the visual taste has one scene at its positive and one
at its negative end. Colours and layouts vary, so that the mean colour of a picture says
little about its scene.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

# BGR, uint8 (height, width, 3), as OpenCV draws them.
Picture: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]

# Size of a video in pixels; encoders require even numbers.
WIDTH, HEIGHT = 72, 128

_DARK, _LIGHT = (25, 25, 25), (235, 235, 235)


def _vary(
    rng: np.random.Generator, colour: tuple[int, int, int], levels: int = 30
) -> Colour:
    """Draws a colour around another one, at most so many levels away."""
    moved = np.array(colour) + rng.integers(-levels, levels + 1, size=3)
    blue, green, red = np.clip(moved, 0, 255).tolist()
    return blue, green, red


def _draw_centre(rng: np.random.Generator, picture: Picture) -> tuple[int, int]:
    height, width = picture.shape[:2]
    return int(rng.integers(width)), int(rng.integers(height))


def _fill_circle(
    picture: Picture, centre: tuple[int, int], radius: int, colour: Colour
) -> None:
    cv2.circle(picture, centre, radius, colour, cv2.FILLED, cv2.LINE_AA)


def paint_beach(picture: Picture, rng: np.random.Generator) -> None:
    """Paints sky, sun, waves and sand."""
    height, width = picture.shape[:2]
    horizon = int(height * rng.uniform(0.3, 0.5))
    shore = int(height * rng.uniform(0.65, 0.85))
    picture[:horizon] = _vary(rng, (225, 190, 140))
    picture[horizon:shore] = _vary(rng, (150, 110, 40))
    picture[shore:] = _vary(rng, (150, 195, 220))
    sun = (int(rng.integers(width)), horizon // 2)
    _fill_circle(picture, sun, width // 9, (190, 240, 255))
    for _ in range(30):
        x, y = int(rng.integers(width)), int(rng.integers(horizon, shore + 4))
        cv2.line(picture, (x, y), (x + width // 8, y), (235, 220, 200), 1, cv2.LINE_AA)


def paint_city(picture: Picture, rng: np.random.Generator) -> None:
    """Paints houses with lit windows, at night."""
    height, width = picture.shape[:2]
    picture[:] = _vary(rng, (70, 40, 30))
    left = 0
    while left < width:
        right = left + int(width * rng.uniform(0.15, 0.3))
        top = int(height * rng.uniform(0.15, 0.6))
        picture[top:, left : right - 1] = _vary(rng, (60, 55, 55), 25)
        lit = _vary(rng, (130, 215, 245), 20)
        for y in range(top + 4, height, 8):
            for x in range(left + 3, right - 5, 7):
                if rng.random() < 0.6:
                    picture[y : y + 4, x : x + 4] = lit
        left = right


def paint_daisies(picture: Picture, rng: np.random.Generator) -> None:
    """Paints white flowers on grass."""
    width = picture.shape[1]
    picture[:] = _vary(rng, (45, 125, 60))
    for _ in range(8):
        x, y = _draw_centre(rng, picture)
        length = int(width * rng.uniform(0.12, 0.2))
        petal = _vary(rng, (235, 235, 235), 15)
        for angle in range(0, 360, 30):
            tip = np.deg2rad(angle)
            centre = (
                int(x + 0.6 * length * np.cos(tip)),
                int(y + 0.6 * length * np.sin(tip)),
            )
            axes = (length // 2, max(length // 7, 1))
            cv2.ellipse(
                picture, centre, axes, angle, 0, 360, petal, cv2.FILLED, cv2.LINE_AA
            )
        _fill_circle(picture, (x, y), max(length // 4, 1), (40, 190, 235))


def paint_bricks(picture: Picture, rng: np.random.Generator) -> None:
    """Paints a wall of bricks."""
    height, width = picture.shape[:2]
    picture[:] = _vary(rng, (185, 190, 195))
    brick = _vary(rng, (70, 85, 165), 40)
    tall = int(height * rng.uniform(0.06, 0.1))
    for row, y in enumerate(range(0, height, tall)):
        for x in range(-tall * (1 + row % 2), width, 2 * tall):
            left = max(x + 1, 0)
            picture[y + 1 : y + tall, left : x + 2 * tall] = _vary(rng, brick, 15)


def paint_chessboard(picture: Picture, rng: np.random.Generator) -> None:
    """Paints a board of squares in two colours, seen at an angle."""
    height, width = picture.shape[:2]
    side, angle = width * rng.uniform(0.14, 0.22), rng.uniform(0, np.pi / 2)
    y, x = np.mgrid[:height, :width] / side
    column = np.floor(x * np.cos(angle) + y * np.sin(angle))
    row = np.floor(y * np.cos(angle) - x * np.sin(angle))
    is_light = (column + row) % 2 == 0
    picture[is_light] = _vary(rng, (170, 210, 230), 40)
    picture[~is_light] = _vary(rng, (40, 60, 90), 40)


def paint_zebra(picture: Picture, rng: np.random.Generator) -> None:
    """Paints the wavy stripes of a zebra's coat."""
    height, width = picture.shape[:2]
    angle, period = rng.uniform(-0.5, 0.5), width * rng.uniform(0.12, 0.2)
    y, x = np.mgrid[:height, :width]
    across = x * np.cos(angle) + y * np.sin(angle)
    waves = 0.25 * np.sin(y / width * rng.uniform(4, 9) + rng.uniform(0, 6))
    is_dark = np.sin(2 * np.pi * (across / period + waves)) > 0
    picture[is_dark] = _vary(rng, (30, 30, 35), 20)
    picture[~is_dark] = _vary(rng, (215, 225, 230), 25)


def paint_clock(picture: Picture, rng: np.random.Generator) -> None:
    """Paints a round clock on a wall."""
    height, width = picture.shape[:2]
    picture[:] = _vary(rng, (140, 140, 140), 80)
    radius = int(width * rng.uniform(0.32, 0.42))
    x = int(width * rng.uniform(0.42, 0.58))
    y = int(height * rng.uniform(0.4, 0.6))
    _fill_circle(picture, (x, y), radius, _vary(rng, _DARK))
    _fill_circle(picture, (x, y), int(radius * 0.9), _vary(rng, _LIGHT, 20))

    def mark(angle: float, start: float, end: float, thickness: int) -> None:
        first, last = (
            (int(x + r * radius * np.sin(angle)), int(y - r * radius * np.cos(angle)))
            for r in (start, end)
        )
        cv2.line(picture, first, last, _DARK, thickness, cv2.LINE_AA)

    for hour in range(12):
        mark(hour * np.pi / 6, 0.7, 0.85, 2)
    mark(rng.uniform(0, 2 * np.pi), 0.0, 0.45, 3)
    mark(rng.uniform(0, 2 * np.pi), 0.0, 0.7, 2)


def paint_basketballs(picture: Picture, rng: np.random.Generator) -> None:
    """Paints balls with seams on the floor of a hall."""
    width = picture.shape[1]
    picture[:] = _vary(rng, (120, 165, 200))
    for _ in range(4):
        x, y = _draw_centre(rng, picture)
        radius = int(width * rng.uniform(0.18, 0.26))
        _fill_circle(picture, (x, y), radius, _vary(rng, (30, 100, 215), 25))
        tilt = float(rng.uniform(0, 180))
        for share in (0.02, 0.55):
            axes = (max(int(radius * share), 1), radius)
            cv2.ellipse(picture, (x, y), axes, tilt, 0, 360, _DARK, 1, cv2.LINE_AA)
        axes = (radius, 1)
        cv2.ellipse(picture, (x, y), axes, tilt, 0, 360, _DARK, 1, cv2.LINE_AA)


# Scene k is at the positive end of visual taste component k, scene k + 4 at its
# negative end.
SCENES: tuple[Callable[[Picture, np.random.Generator], None], ...] = (
    paint_beach,
    paint_daisies,
    paint_chessboard,
    paint_clock,
    paint_city,
    paint_bricks,
    paint_zebra,
    paint_basketballs,
)
