"""Opening a media file: its container, and the video stream in it.

A file is not trusted: its content decides what it is, not its extension, and it cannot
make FFmpeg open another file or an address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import av
import cv2

from tfrecords.decoded_frames import MediaError

# These mark a frame that they had to invent; the others conceal damage without a word
# unless told to stop at it.
_FLAGS_DAMAGE = frozenset({"h264", "hevc"})
_ATTACHED_PICTURE = av.stream.Disposition.attached_pic  # cover art, not video
_SURPRISES = (ValueError, ArithmeticError, LookupError, MemoryError, cv2.error)


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yields the container and its video stream; every failure is a `MediaError`."""
    try:
        with path.open("rb") as file, _open_container(file, path.name) as media:
            yield media, _video_stream(media, path.name)
    except av.EOFError as error:
        raise MediaError(path.name, "ends too early to be decoded") from error
    except av.FFmpegError as error:
        raise MediaError(path.name, f"cannot be decoded: {error.strerror}") from error
    except MediaError:
        raise
    except _SURPRISES as error:
        reason = f"cannot be decoded: {type(error).__name__}"
        raise MediaError(path.name, reason) from error
    except OSError as error:
        raise MediaError(path.name, f"cannot be read: {error.strerror}") from error


def _open_container(file: BufferedReader, name: str) -> Any:
    if not file.peek(1):
        raise MediaError(name, "is empty")
    # An open file instead of its name: no extension and no name pattern can steer
    # FFmpeg, and a playlist that names other files or hosts gets none of them.
    options = {"protocol_whitelist": "none"}
    return av.open(file, metadata_errors="replace", container_options=options)


def _video_stream(media: Any, name: str) -> Any:
    streams = [s for s in media.streams.video if not s.disposition & _ATTACHED_PICTURE]
    if not streams:
        raise MediaError(name, "holds no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise MediaError(name, "is coded in a way that no decoder here knows")
    stream.thread_type = "NONE"
    if stream.codec_context.name not in _FLAGS_DAMAGE:
        stream.codec_context.options = {"err_detect": "explode"}
    return stream
