"""Display times of the frames of a video, from its packets or from decoding.

A timeline takes 8 bytes per frame, or 17 for codecs whose packets may be skipped,
because a file of a few megabytes can contain millions of frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrecords import packet_skipping
from tfrecords.errors import MediaError

# Packets are kept in memory up to this size, and read again otherwise.
_MAX_HELD_BYTES = 32 * 2**20
_PACKET_OVERHEAD = 1024  # bytes of PyAV's and FFmpeg's objects per packet


class TimelineMismatchError(Exception):
    """The decoded frames differ from those that the packets announced."""


@dataclass(frozen=True)
class Timeline:
    """Display times of all frames, in ticks after the first one.

    Attributes:
        starts: int64 (source_num_frames,), ascending, `starts[0] == 0`.
        duration: Ticks from the first frame to the end of the last one, at least 1.
        time_base: Seconds per tick.
        first_pts: Timestamp of the first frame, to identify frames by timestamp; None
            if timestamps do not identify frames and only their order is used.
        packets: Packets in decoding order; None if no packet may be skipped.
    """

    starts: npt.NDArray[np.int64]
    duration: int
    time_base: Fraction
    first_pts: int | None = None
    packets: packet_skipping.CodedPackets | None = None

    def find_next(self, pts: int | None, previous: int) -> int:
        """Returns the position of the frame that was decoded after another one.

        Raises:
            TimelineMismatchError: The timeline has no such frame at this position.
        """
        following = previous + 1
        tick = None if pts is None or self.first_pts is None else pts - self.first_pts
        if self.packets is not None and tick is not None and previous >= 0:
            # Frames in between may have been skipped.
            following += int(np.searchsorted(self.starts[following:], tick))
        is_expected = following < len(self.starts) and (
            self.first_pts is None or self.starts[following] == tick
        )
        if not is_expected:
            raise TimelineMismatchError
        return following

    def plan_skips(self, chosen: Iterable[int]) -> bytearray | None:
        """Returns the action for each packet; None to decode all packets."""
        if self.first_pts is None or self.packets is None:
            return None
        # Always includes the first frame, to verify the start of the timeline.
        ticks = (0, *(int(self.starts[position]) for position in chosen))
        return packet_skipping.plan_skips(
            self.packets, {self.first_pts + t for t in ticks}
        )


def read_packet_timeline(
    name: str, media: Any, stream: Any
) -> tuple[Timeline, list[Any] | None]:
    """Returns the timeline of the packets, without decoding, and the packets.

    The packets are None if they are too large to be kept in memory.

    Raises:
        MediaError: The file is truncated, or contains no packet.
        TimelineMismatchError: The timestamps of the packets do not identify the frames.
    """
    held: list[Any] | None = []
    num_bytes = 0
    summary = _PacketSummary(stream)
    for packet in media.demux(stream):
        num_bytes += packet.size + _PACKET_OVERHEAD
        if num_bytes > _MAX_HELD_BYTES:
            held = None
        elif held is not None:
            held.append(packet)
        if packet.size:
            summary.add(packet)
    summary.require_complete(name, media)
    return summary.build_timeline(), held


def read_decoded_timeline(name: str, stream: Any, frames: Iterable[Any]) -> Timeline:
    """Returns the timeline of decoded frames.

    Decoded frames are in display order, so that their timestamps are sorted. Frames
    without timestamps are spaced evenly.

    Raises:
        MediaError: There is no frame, or neither timestamps nor a frame rate.
    """
    times = _DisplayTimes()
    for frame in frames:
        times.add(frame.pts, frame.duration)
    if not times.count:
        raise MediaError(name, "contains no frame")
    if not times.is_timed:
        if not stream.guessed_rate:
            reason = "has neither timestamps nor a frame rate"
            raise MediaError(name, reason)
        ticks = np.arange(times.count, dtype=np.int64)
        return Timeline(ticks, times.count, 1 / Fraction(stream.guessed_rate))
    _, starts, duration = times.in_order()
    return Timeline(starts, duration, Fraction(stream.time_base))


@dataclass
class _DisplayTimes:
    """Timestamps of all frames, and the duration of the last one, in ticks."""

    count: int = 0
    is_timed: bool = True
    _pts: array[int] = field(default_factory=lambda: array("q"))
    _last: tuple[int, int] | None = None

    def add(self, pts: int | None, duration: int | None) -> None:
        self.count += 1
        if pts is None:
            self.is_timed = False
            return
        self._pts.append(pts)
        frame = (pts, duration or 0)
        self._last = frame if self._last is None else max(self._last, frame)

    def in_order(self) -> tuple[int, npt.NDArray[np.int64], int]:
        """Returns the first timestamp, the starts relative to it, and the duration."""
        starts = np.frombuffer(self._pts, np.int64)
        starts.sort()  # in place, as the subtraction below, to save memory
        first = int(starts[0])
        starts -= first
        last = 0 if self._last is None else self._last[1]
        if not last:
            last = int(starts[-1] - starts[-2]) if len(starts) > 1 else 1
        return first, starts, max(1, int(starts[-1]) + last)


class _PacketSummary:
    """Collects the display times and the completeness of a stream from its packets."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._times = _DisplayTimes()
        self._coded = None
        if stream.codec_context.name in packet_skipping.CODECS:
            self._coded = packet_skipping.CodedPackets()
        self._count = 0
        self._is_corrupt = False
        self._largest_pts = -1

    def add(self, packet: Any) -> None:
        self._count += 1
        self._is_corrupt |= packet.is_corrupt
        if packet.pts is not None:
            self._largest_pts = max(self._largest_pts, packet.pts)
        # Packets hidden by an edit list are needed for decoding, but not displayed.
        if not packet.is_discard:
            self._times.add(packet.pts, packet.duration)
        if self._coded is not None:
            extradata = self._stream.codec_context.extradata
            is_idr = packet.is_keyframe and packet_skipping.holds_idr(
                bytes(packet), extradata
            )
            self._coded.add(packet.pts, is_idr=is_idr)

    def require_complete(self, name: str, media: Any) -> None:
        """Raises a `MediaError` if announced packets are missing or damaged."""
        if not self._count:
            raise MediaError(name, "contains no frame")
        if self._is_corrupt:
            reason = "is truncated or damaged: a frame's data is incomplete"
            raise MediaError(name, reason)
        count, announced = self._count, self._stream.frames
        if media.format.name == "avi":
            # In AVI, a frame that repeats the previous one has no packet.
            count = max(count, self._largest_pts + 1)
        if media.format.name.startswith("mov"):
            # Packets that an edit list omits may be missing from the index.
            announced = min(announced, len(self._stream.index_entries))
        if count < announced:
            reason = f"is truncated: {count} of the {announced} frames announced"
            raise MediaError(name, reason)

    def build_timeline(self) -> Timeline:
        """Returns the timeline.

        Raises:
            TimelineMismatchError: The timestamps do not identify the frames.
        """
        if not self._times.count or not self._times.is_timed:
            raise TimelineMismatchError
        first, starts, duration = self._times.in_order()
        if (starts[1:] == starts[:-1]).any():
            raise TimelineMismatchError
        time_base = Fraction(self._stream.time_base)
        return Timeline(starts, duration, time_base, first, self._coded)
