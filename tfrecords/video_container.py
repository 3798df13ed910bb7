"""Opens a media file and selects its video stream.

Files are untrusted: the format is detected from the content and not from the extension,
and a file cannot make FFmpeg open other files or addresses.
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

# These decoders mark frames that they reconstructed; all others conceal damage silently
# unless `err_detect` is set.
_FLAGS_DAMAGE = frozenset({"h264", "hevc"})
_ATTACHED_PICTURE = av.stream.Disposition.attached_pic  # cover art, not video
_LIBRARY_ERRORS = (ValueError, ArithmeticError, LookupError, MemoryError, cv2.error)


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
