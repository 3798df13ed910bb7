"""Results of decoding: pictures, or the error of a media file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from tfrecords.errors import DataError

# Bit-exact on all processors. Chroma is interpolated at half width, as JPEG stores it.
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


class MediaError(DataError):
    """A media file cannot be decoded to frames.

    Args:
        name: File name, safe to be shown.
        reason: Reason as a clause, without paths.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """A decoded frame before rotation.

    Attributes:
        frame: PyAV frame, as coded.
        quarter_turns: Number of counter-clockwise quarter turns to rotate it upright,
            0 to 3.
        pixel_aspect: Width of a pixel divided by its height, as coded.
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
        """Returns the frame downscaled, uint8 BGR (height, width, 3), as coded.

        A pixel is the mean of the pixels that it covers. Colours are converted after
        the downscaling, which takes a third of the time of converting all pixels first.
        """
        # FFmpeg writes the same pixels as RGB in half of the time of BGR.
        small = self.frame.reformat(
            width, height, "rgb24", interpolation=_SCALING, threads=1
        )
        pixels = cv2.cvtColor(small.to_ndarray(), cv2.COLOR_RGB2BGR)
        return np.asarray(pixels, np.uint8)
