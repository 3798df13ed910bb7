"""Still pictures in HEIF containers: HEIC, as phones write them, and AVIF.

Such a container may hold a picture as a grid of tiles, and as pictures beside it
thumbnails and maps. FFmpeg shows each of them as a stream of its own; Pillow and
libheif put the picture together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
import numpy.typing as npt

from tfrecords.decoded_frames import MediaError, Picture
from tfrecords.timeline import Timeline

_T = TypeVar("_T")

# Brands of the HEIF family (ISO/IEC 23008-12) and of AVIF: pictures, not films.
_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
    | {b"miaf", b"MiHE", b"avif", b"avis"}
)
_HEAD = 12


def is_still(path: Path) -> bool:
    """Whether a file is a HEIF container, by its first bytes.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise MediaError(path.name, f"cannot be read: {error.strerror}") from error
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS


def decode_still(
    path: Path,
    choose: Callable[[Timeline], Collection[int]],
    convert: Callable[[Picture], _T],
) -> tuple[Timeline, dict[int, _T]]:
    """Does for one picture what `media.decode_frames` does for any file.

    Raises:
        MediaError: the file is damaged, or coded in a way that no decoder here knows.
    """
    pixels = _read_pixels(path)
    timeline = Timeline(np.zeros(1, np.int64), 1, Fraction(1))
    picture = Picture(av.VideoFrame.from_ndarray(pixels, "rgb24"), 0, Fraction(1))
    return timeline, {position: convert(picture) for position in choose(timeline)}


def _read_pixels(path: Path) -> npt.NDArray[np.uint8]:
    """Returns the picture upright, uint8 RGB (height, width, 3)."""
    import pi_heif
    from PIL import Image, ImageOps

    pi_heif.register_heif_opener()
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError as error:
        reason = "has more pixels than any picture of a post"
        raise MediaError(path.name, reason) from error
    except (OSError, ValueError, RuntimeError, SyntaxError, EOFError) as error:
        reason = f"cannot be decoded: {type(error).__name__}"
        raise MediaError(path.name, reason) from error
