"""What decoding gives: pictures, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from dc_keras.errors import DataError

# The same pixels on every processor; colours at half the width, as JPEG keeps them.
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


class MediaError(DataError):
    """A media file that gives no frames, with the reason.

    Args:
        name: file name, as it may be shown.
        reason: one clause; it holds no path.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """One decoded frame, before it is turned upright.

    Attributes:
        frame: PyAV's frame, as coded.
        quarter_turns: counter-clockwise quarter turns that put it upright, 0 to 3.
        pixel_aspect: width of a pixel over its height, as coded.
    """

    frame: Any
    quarter_turns: int
    pixel_aspect: Fraction

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, as coded."""
        return self.frame.height, self.frame.width

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """All pixels, uint8 BGR (height, width, 3), as coded."""
        pixels: npt.NDArray[np.uint8] = self.frame.to_ndarray(format="bgr24", threads=1)
        return pixels

    def shrink(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """Returns the frame made smaller, uint8 BGR (height, width, 3), as coded.

        A pixel is the mean of those that it covers. Colours are converted after that:
        a third of the work of converting all pixels and shrinking them then.
        """
        small = self.frame.reformat(
            width, height, "bgr24", interpolation=_SCALING, threads=1
        )
        pixels: npt.NDArray[np.uint8] = small.to_ndarray()
        return pixels
