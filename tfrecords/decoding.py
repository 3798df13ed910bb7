"""Decodes chosen frames of a media file, with the times at which they are displayed.

The frame count, duration and extension of a container, and in some AVI files its
timestamps, are often wrong and are not used. A first pass reads the packets without
decoding them and builds the `Timeline`. A second pass decodes the packets that the
chosen frames depend on, and compares each decoded frame with the timeline. If they
differ, the timeline is built again from the decoded frames. Frames that are not chosen
are not kept in memory.

A HEIF container (HEIC, AVIF) may store an image as a grid of tiles, in addition to
thumbnails and depth maps. FFmpeg exposes each of them as a separate stream; Pillow and
libheif assemble the image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation

from tfrecords import packet_skipping
from tfrecords.errors import MediaError
from tfrecords.timeline import (
    Timeline,
    TimelineMismatchError,
    read_decoded_timeline,
    read_packet_timeline,
)

# Brands of still images of the HEIF family (ISO/IEC 23008-12) and AVIF.
_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
    | {b"miaf", b"MiHE", b"avif", b"avis"}
)
_HEAD = 12
# These decoders mark frames that they reconstructed; all others conceal damage silently
# unless `err_detect` is set.
_FLAGS_DAMAGE = frozenset({"h264", "hevc"})
_ATTACHED_PICTURE = av.stream.Disposition.attached_pic  # cover art, not video
_LIBRARY_ERRORS = (ValueError, ArithmeticError, LookupError, MemoryError, cv2.error)
# Bit-exact on all processors. Chroma is interpolated at half width, as JPEG stores it.
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_T = TypeVar("_T")


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


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yields the container and its video stream.

    Raises:
        MediaError: Opening the file, or an operation inside the block, fails.
    """
    try:
        with path.open("rb") as file, _open_container(file, path.name) as media:
            yield media, _select_video_stream(media, path.name)
    except av.EOFError as error:
        raise MediaError(path.name, "is truncated and cannot be decoded") from error
    except av.FFmpegError as error:
        raise MediaError(path.name, f"cannot be decoded: {error.strerror}") from error
    except MediaError:
        raise
    except _LIBRARY_ERRORS as error:
        reason = f"cannot be decoded: {type(error).__name__}"
        raise MediaError(path.name, reason) from error
    except OSError as error:
        raise MediaError(path.name, f"cannot be read: {error.strerror}") from error


def _open_container(file: BufferedReader, name: str) -> Any:
    if not file.peek(1):
        raise MediaError(name, "is empty")
    # Passes an open file, so that neither its extension nor a pattern in its name
    # affects FFmpeg, and a playlist cannot open other files or hosts.
    options = {"protocol_whitelist": "none"}
    return av.open(file, metadata_errors="replace", container_options=options)


def _select_video_stream(media: Any, name: str) -> Any:
    streams = [s for s in media.streams.video if not s.disposition & _ATTACHED_PICTURE]
    if not streams:
        raise MediaError(name, "contains no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise MediaError(name, "has an unsupported coding")
    stream.thread_type = "NONE"
    if stream.codec_context.name not in _FLAGS_DAMAGE:
        stream.codec_context.options = {"err_detect": "explode"}
    return stream


def decode_frames(
    path: Path,
    choose: Callable[[Timeline], Collection[int]],
    convert: Callable[[Picture], _T],
) -> tuple[Timeline, dict[int, _T]]:
    """Decodes a file and converts the chosen frames.

    Args:
        path: Video or image, whose format is detected from its content.
        choose: Returns the positions of the frames to keep, from 0 in display order.
        convert: Called with each of these frames, in order.

    Returns:
        The timeline, and the result of `convert` by position.

    Raises:
        MediaError: The file cannot be read to its end, is truncated or damaged, or
            contains no frame.
    """
    if is_still(path):
        timeline = Timeline(np.zeros(1, np.int64), 1, Fraction(1))
        pixels = av.VideoFrame.from_ndarray(_read_pixels(path), "rgb24")
        picture = Picture(pixels, 0, Fraction(1))
        return timeline, {position: convert(picture) for position in choose(timeline)}
    try:
        with open_video(path) as (media, stream):
            timeline, packets = read_packet_timeline(path.name, media, stream)
            chosen = choose(timeline)
            if packets is not None:
                plan = timeline.plan_skips(chosen)
                frames = _decode(path.name, packets, stream, plan)
                return timeline, _convert_chosen(
                    path.name, stream, frames, timeline, chosen, convert
                )
        return timeline, _decode_again(path, timeline, chosen, convert)
    except TimelineMismatchError:
        with open_video(path) as (media, stream):
            frames = _decode(path.name, media.demux(stream), stream)
            timeline = read_decoded_timeline(path.name, stream, frames)
    try:
        return timeline, _decode_again(path, timeline, choose(timeline), convert)
    except TimelineMismatchError as error:
        raise MediaError(path.name, "decodes differently each time") from error


def _decode(
    name: str, packets: Iterable[Any], stream: Any, plan: bytearray | None = None
) -> Iterator[Any]:
    """Yields the frames of packets in display order; `plan` None decodes all."""
    skips = iter(() if plan is None else plan)
    for packet in packets:
        if packet.size and plan is not None:
            skip = next(skips, packet_skipping.DECODE)
            if skip == packet_skipping.LEAVE_OUT:
                continue
            stream.codec_context.skip_frame = packet_skipping.SKIP_FRAME[skip]
        for frame in packet.decode():
            if frame.is_corrupt:
                raise MediaError(name, "is damaged: a frame's data is incomplete")
            yield frame


def _decode_again(
    path: Path,
    timeline: Timeline,
    chosen: Collection[int],
    convert: Callable[[Picture], _T],
) -> dict[int, _T]:
    with open_video(path) as (media, stream):
        packets, plan = media.demux(stream), timeline.plan_skips(chosen)
        frames = _decode(path.name, packets, stream, plan)
        return _convert_chosen(path.name, stream, frames, timeline, chosen, convert)


def _convert_chosen(
    name: str,
    stream: Any,
    frames: Iterable[Any],
    timeline: Timeline,
    chosen: Collection[int],
    convert: Callable[[Picture], _T],
) -> dict[int, _T]:
    """Returns the result of `convert` for the frames at the chosen positions.

    Raises:
        MediaError: The file is damaged.
        TimelineMismatchError: The decoded frames are not those of the timeline.
    """
    converted: dict[int, _T] = {}
    position = -1
    for frame in frames:
        position = timeline.find_next(frame.pts, position)
        if position in chosen:
            converted[position] = convert(_read_picture(name, frame, stream))
    is_whole = timeline.packets is not None or position + 1 == len(timeline.starts)
    if len(converted) < len(chosen) or not is_whole:
        raise TimelineMismatchError
    return converted


def _read_picture(name: str, frame: Any, stream: Any) -> Picture:
    turns, rest = divmod(round(frame.rotation), 90)
    if rest:
        raise MediaError(
            name, f"is rotated by {frame.rotation} degrees, not a multiple of 90"
        )
    aspect = stream.sample_aspect_ratio
    return Picture(
        frame=frame,
        quarter_turns=turns % 4,
        pixel_aspect=Fraction(aspect) if aspect else Fraction(1),
    )
