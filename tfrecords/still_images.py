"""Decodes still images in HEIF containers: HEIC, the format of many phones, and AVIF.

A HEIF container may store an image as a grid of tiles, in addition to thumbnails and
depth maps. FFmpeg exposes each of them as a separate stream; Pillow and libheif
assemble the image.
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

# Brands of still images of the HEIF family (ISO/IEC 23008-12) and AVIF.
_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
    | {b"miaf", b"MiHE", b"avif", b"avis"}
)
_HEAD = 12


def is_still(path: Path) -> bool:
    """Returns whether a file is a HEIF container, from its first bytes.

    Raises:
        MediaError: The file cannot be read.
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
    """Decodes a still image, with the interface of `decoding.decode_frames`.

    Raises:
        MediaError: The file is damaged, or its coding is not supported.
    """
    pixels = _read_pixels(path)
    timeline = Timeline(np.zeros(1, np.int64), 1, Fraction(1))
    picture = Picture(av.VideoFrame.from_ndarray(pixels, "rgb24"), 0, Fraction(1))
    return timeline, {position: convert(picture) for position in choose(timeline)}


def _read_pixels(path: Path) -> npt.NDArray[np.uint8]:
    """Returns the upright image, uint8 RGB (height, width, 3)."""
    import pi_heif
    from PIL import Image, ImageOps

    pi_heif.register_heif_opener()
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Image.DecompressionBombError as error:
        reason = "has too many pixels for an image of a post"
        raise MediaError(path.name, reason) from error
    except (OSError, ValueError, RuntimeError, SyntaxError, EOFError) as error:
        reason = f"cannot be decoded: {type(error).__name__}"
        raise MediaError(path.name, reason) from error
