"""Decoding: from a media file to the frames that a viewer sees, and when.

Nothing here trusts a container: its frame count, its duration, its extension and, in
some AVI files, its timestamps are wrong often enough. A first pass reads the packets
without decoding them and gives the `Timeline`; a second pass decodes in one go what the
frames asked for need, and checks every frame against the timeline on the way. Where
the two disagree, the timeline is taken again from the decoded frames. Memory does not
grow with the length of the video.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import av
import cv2
import numpy as np

from tfrecords import skipping, stills
from tfrecords.pictures import MediaError, Picture, Timeline

_T = TypeVar("_T")

# These mark a frame that they had to invent; the others conceal damage without a word
# unless told to stop at it.
_FLAGS_DAMAGE = frozenset({"h264", "hevc"})
_ATTACHED_PICTURE = av.stream.Disposition.attached_pic  # cover art, not video
# Packets of more than that are read again instead of kept.
_MAX_HELD_BYTES = 32 * 2**20
_SURPRISES = (ValueError, ArithmeticError, LookupError, MemoryError, cv2.error)


class _TimelineMismatchError(Exception):
    """The decoder showed other frames than the packets announced."""


def decode_frames(
    path: Path,
    choose: Callable[[Timeline], Collection[int]],
    convert: Callable[[Picture], _T],
) -> tuple[Timeline, dict[int, _T]]:
    """Decodes a file once and keeps what is made of the chosen frames.

    Args:
        path: a video or an image; its content decides, not its extension.
        choose: gives the positions of the wanted frames, from 0 in display order.
        convert: called with each wanted frame, in order.

    Returns:
        The timeline, and what `convert` returned for each wanted position.

    Raises:
        MediaError: the file cannot be read to its end, is cut short or damaged, or
            holds no frame.
    """
    if stills.is_still(path):
        return stills.decode_still(path, choose, convert)
    try:
        with _open(path) as (media, stream):
            timeline, packets = _read_packet_timeline(path.name, media, stream)
            wanted = choose(timeline)
            if packets is not None:
                frames = _decode(path.name, packets, stream, _plan(timeline, wanted))
                return timeline, _keep(
                    path.name, stream, frames, timeline, wanted, convert
                )
        return timeline, _decode_again(path, timeline, wanted, convert)
    except _TimelineMismatchError:
        timeline = _read_decoded_timeline(path)
    try:
        return timeline, _decode_again(path, timeline, choose(timeline), convert)
    except _TimelineMismatchError as error:
        raise MediaError(path.name, "decodes differently each time") from error


@contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Any]]:
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


def _read_packet_timeline(
    name: str, media: Any, stream: Any
) -> tuple[Timeline, list[Any] | None]:
    """Returns the timeline that the packets announce, without decoding, and them.

    The packets are None where they are too large to be kept in memory.

    Raises:
        MediaError: the file is cut short, or holds no packet.
        _TimelineMismatchError: the packets' timestamps cannot name the frames.
    """
    held: list[Any] | None = []
    packets, coded, num_bytes = [], [], 0
    can_skip = stream.codec_context.name in skipping.CODECS
    for packet in media.demux(stream):
        num_bytes += packet.size
        if num_bytes > _MAX_HELD_BYTES:
            held = None
        elif held is not None:
            held.append(packet)
        if not packet.size:
            continue
        packets.append(
            (packet.pts, packet.duration, packet.is_discard, packet.is_corrupt)
        )
        if can_skip:
            coded.append(skipping.CodedPacket(packet.pts, _is_idr(packet, stream)))
    _check_complete(name, media, stream, packets)
    # An edit list hides packets: needed to decode, never shown.
    shown = [packet for packet in packets if not packet[2]]
    pts = {packet[0] for packet in shown}
    if not shown or None in pts or len(pts) < len(shown):
        raise _TimelineMismatchError
    timeline = _make_timeline(
        sorted((pts, duration) for pts, duration, *_ in shown), stream, named=True
    )
    return replace(timeline, packets=tuple(coded)), held


def _is_idr(packet: Any, stream: Any) -> bool:
    return bool(packet.is_keyframe) and skipping.holds_idr(
        bytes(packet), stream.codec_context.extradata
    )


def _check_complete(
    name: str, media: Any, stream: Any, packets: list[tuple[Any, ...]]
) -> None:
    if not packets:
        raise MediaError(name, "holds no frame")
    if any(is_corrupt for *_, is_corrupt in packets):
        raise MediaError(name, "is cut short or damaged: a frame's data is incomplete")
    held, announced = len(packets), stream.frames
    if media.format.name == "avi":
        # A frame that repeats the one before takes a place there, and no packet.
        held = max(held, *(pts + 1 for pts, *_ in packets if pts is not None))
    if media.format.name.startswith("mov"):
        # What an edit list leaves out may be gone from the index, and is not read.
        announced = min(announced, len(stream.index_entries))
    if held < announced:
        reason = f"is cut short: {held} of the {announced} frames announced"
        raise MediaError(name, reason)


def _read_decoded_timeline(path: Path) -> Timeline:
    """Returns the timeline of the frames that decoding gives.

    Frames come in display order whatever their timestamps say, so the timestamps,
    sorted, are theirs; where frames carry none, they are evenly spaced.
    """
    with _open(path) as (media, stream):
        frames = [
            (frame.pts, frame.duration)
            for frame in _decode(path.name, media.demux(stream), stream)
        ]
        if not frames:
            raise MediaError(path.name, "holds no frame")
        if any(pts is None for pts, _ in frames):
            if not stream.guessed_rate:
                reason = "carries neither timestamps nor a frame rate"
                raise MediaError(path.name, reason)
            ticks = np.arange(len(frames), dtype=np.int64)
            return Timeline(ticks, len(frames), 1 / Fraction(stream.guessed_rate), None)
        return _make_timeline(sorted(frames), stream, named=False)


def _make_timeline(
    frames: list[tuple[int, int | None]], stream: Any, *, named: bool
) -> Timeline:
    """Builds a timeline from (pts, duration) in ticks, ascending."""
    pts = np.array([pts for pts, _ in frames], dtype=np.int64)
    starts = pts - pts[0]
    last = frames[-1][1]
    if not last:
        last = int(starts[-1] - starts[-2]) if len(starts) > 1 else 1
    duration = max(1, int(starts[-1]) + last)
    names = tuple(pts.tolist()) if named else None
    return Timeline(starts, duration, Fraction(stream.time_base), names)


def _decode(
    name: str, packets: Iterable[Any], stream: Any, plan: Sequence[str | None] = ()
) -> Iterator[Any]:
    """Yields the frames in display order.

    Args:
        name: file name, for errors.
        packets: of the stream, up to the empty one that ends it.
        stream: the video stream.
        plan: what to do with each packet, as `skipping.plan_skips` says; decodes all
            if empty.
    """
    skips = iter(plan)
    for packet in packets:
        if packet.size and plan:
            skip = next(skips, "DEFAULT")
            if skip is None:
                continue
            stream.codec_context.skip_frame = skip
        for frame in packet.decode():
            if frame.is_corrupt:
                raise MediaError(name, "is damaged: a frame's data is incomplete")
            yield frame


def _decode_again(
    path: Path,
    timeline: Timeline,
    wanted: Collection[int],
    convert: Callable[[Picture], _T],
) -> dict[int, _T]:
    """Opens a file once more, and returns what `_keep` does."""
    with _open(path) as (media, stream):
        packets = media.demux(stream)
        frames = _decode(path.name, packets, stream, _plan(timeline, wanted))
        return _keep(path.name, stream, frames, timeline, wanted, convert)


def _keep(
    name: str,
    stream: Any,
    frames: Iterable[Any],
    timeline: Timeline,
    wanted: Collection[int],
    convert: Callable[[Picture], _T],
) -> dict[int, _T]:
    """Returns what `convert` makes of the frames at the wanted positions.

    Raises:
        MediaError: the file is damaged.
        _TimelineMismatchError: a frame came that the timeline does not hold at this
            place, or one that it holds did not come.
    """
    kept: dict[int, _T] = {}
    has_gaps = bool(timeline.packets)
    position = -1
    for frame in frames:
        position = _locate(frame.pts, position, timeline, has_gaps=has_gaps)
        if position in wanted:
            kept[position] = convert(_read_picture(name, frame, stream))
    if len(kept) < len(wanted) or (
        not has_gaps and position + 1 < len(timeline.starts)
    ):
        raise _TimelineMismatchError
    return kept


def _plan(timeline: Timeline, wanted: Collection[int]) -> list[str | None]:
    """Returns which packets to decode, empty for all of them."""
    if timeline.pts is None or not timeline.packets:
        return []
    # The first frame always, to see that the timeline begins where it should.
    only = {timeline.pts[0], *(timeline.pts[position] for position in wanted)}
    return skipping.plan_skips(timeline.packets, only)


def _locate(
    pts: int | None, previous: int, timeline: Timeline, *, has_gaps: bool
) -> int:
    """Returns the position of the frame that follows the one at `previous`."""
    following = previous + 1
    if timeline.pts is not None and pts is not None and has_gaps and previous >= 0:
        following = bisect_left(timeline.pts, pts, lo=following)
    is_expected = following < len(timeline.starts) and (
        timeline.pts is None or timeline.pts[following] == pts
    )
    if not is_expected:
        raise _TimelineMismatchError
    return following


def _read_picture(name: str, frame: Any, stream: Any) -> Picture:
    turns, rest = divmod(round(frame.rotation), 90)
    if rest:
        raise MediaError(
            name, f"is turned by {frame.rotation} degrees, not by quarters"
        )
    aspect = stream.sample_aspect_ratio
    return Picture(
        frame=frame,
        quarter_turns=turns % 4,
        pixel_aspect=Fraction(aspect) if aspect else Fraction(1),
    )
