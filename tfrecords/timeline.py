"""When each frame of a video is shown, as its packets say or as decoding shows.

A frame costs 8 bytes, and one of a codec whose packets may be left out 17: a file of a
few megabytes can hold millions of frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tfrecords import packet_skipping as skipping
from tfrecords.decoded_frames import MediaError

# Packets of more than that are read again instead of kept.
_MAX_HELD_BYTES = 32 * 2**20
_BYTES_OF_PACKET = 1024  # beside its content: PyAV's objects and FFmpeg's


class TimelineMismatchError(Exception):
    """The decoder showed other frames than the packets announced."""


@dataclass(frozen=True)
class Timeline:
    """When each frame is shown, in ticks after the first one.

    Attributes:
        starts: int64 (source_num_frames,), ascending, `starts[0] == 0`.
        duration: ticks from the first frame to the end of the last one, at least 1.
        time_base: seconds in a tick.
        first_pts: timestamp of the first frame, by which timestamps name frames; None
            where they name none and only the order counts.
        packets: in the order of decoding; None where none may be left out.
    """

    starts: npt.NDArray[np.int64]
    duration: int
    time_base: Fraction
    first_pts: int | None = None
    packets: skipping.CodedPackets | None = None

    def find_next(self, pts: int | None, previous: int) -> int:
        """Returns the position of the frame that was decoded after another one.

        Args:
            pts: timestamp of the frame.
            previous: position of the one before, -1 for none.

        Raises:
            TimelineMismatchError: there is no such frame at this place.
        """
        following = previous + 1
        tick = None if pts is None or self.first_pts is None else pts - self.first_pts
        if self.packets is not None and tick is not None and previous >= 0:
            # Some were left out.
            following += int(np.searchsorted(self.starts[following:], tick))
        is_expected = following < len(self.starts) and (
            self.first_pts is None or self.starts[following] == tick
        )
        if not is_expected:
            raise TimelineMismatchError
        return following

    def plan_skips(self, wanted: Iterable[int]) -> bytearray | None:
        """Returns what to do with each packet, None to decode all of them.

        Args:
            wanted: positions of the frames that matter.
        """
        if self.first_pts is None or self.packets is None:
            return None
        # The first frame always, to see that the timeline begins where it should.
        ticks = (0, *(int(self.starts[position]) for position in wanted))
        return skipping.plan_skips(self.packets, {self.first_pts + t for t in ticks})


def read_packet_timeline(
    name: str, media: Any, stream: Any
) -> tuple[Timeline, list[Any] | None]:
    """Returns the timeline that the packets announce, without decoding, and them.

    The packets are None where they are too large to be kept in memory.

    Raises:
        MediaError: the file is cut short, or holds no packet.
        TimelineMismatchError: the packets' timestamps cannot name the frames.
    """
    held: list[Any] | None = []
    num_bytes = 0
    seen = _Packets(stream)
    for packet in media.demux(stream):
        num_bytes += packet.size + _BYTES_OF_PACKET
        if num_bytes > _MAX_HELD_BYTES:
            held = None
        elif held is not None:
            held.append(packet)
        if packet.size:
            seen.add(packet)
    seen.require_all(name, media)
    return seen.timeline(), held


def read_decoded_timeline(name: str, stream: Any, frames: Iterable[Any]) -> Timeline:
    """Returns the timeline of the frames that decoding gives.

    Frames come in display order whatever their timestamps say, so the timestamps,
    sorted, are theirs; where frames carry none, they are evenly spaced.

    Raises:
        MediaError: there is no frame, or nothing says when they are shown.
    """
    shown = _Shown()
    for frame in frames:
        shown.add(frame.pts, frame.duration)
    if not shown.count:
        raise MediaError(name, "holds no frame")
    if not shown.is_timed:
        if not stream.guessed_rate:
            reason = "carries neither timestamps nor a frame rate"
            raise MediaError(name, reason)
        ticks = np.arange(shown.count, dtype=np.int64)
        return Timeline(ticks, shown.count, 1 / Fraction(stream.guessed_rate))
    _, starts, duration = shown.in_order()
    return Timeline(starts, duration, Fraction(stream.time_base))


@dataclass
class _Shown:
    """Timestamps and, of the frame that is shown last, the duration, in ticks."""

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
        ends = (pts, duration or 0)
        self._last = ends if self._last is None else max(self._last, ends)

    def in_order(self) -> tuple[int, npt.NDArray[np.int64], int]:
        """Returns the first timestamp, the starts after it, and the whole duration."""
        starts = np.frombuffer(self._pts, np.int64)
        starts.sort()  # in place, as all that follows
        first = int(starts[0])
        starts -= first
        last = 0 if self._last is None else self._last[1]
        if not last:
            last = int(starts[-1] - starts[-2]) if len(starts) > 1 else 1
        return first, starts, max(1, int(starts[-1]) + last)


class _Packets:
    """What is known of a stream by its packets alone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._shown = _Shown()
        self._coded = None
        if stream.codec_context.name in skipping.CODECS:
            self._coded = skipping.CodedPackets()
        self._count = 0
        self._is_corrupt = False
        self._largest_pts = -1

    def add(self, packet: Any) -> None:
        self._count += 1
        self._is_corrupt |= packet.is_corrupt
        if packet.pts is not None:
            self._largest_pts = max(self._largest_pts, packet.pts)
        # An edit list hides packets: needed to decode, never shown.
        if not packet.is_discard:
            self._shown.add(packet.pts, packet.duration)
        if self._coded is not None:
            self._coded.add(packet.pts, is_idr=self._is_idr(packet))

    def _is_idr(self, packet: Any) -> bool:
        return bool(packet.is_keyframe) and skipping.holds_idr(
            bytes(packet), self._stream.codec_context.extradata
        )

    def require_all(self, name: str, media: Any) -> None:
        """Raises a `MediaError` where not all packets that are announced are there."""
        if not self._count:
            raise MediaError(name, "holds no frame")
        if self._is_corrupt:
            reason = "is cut short or damaged: a frame's data is incomplete"
            raise MediaError(name, reason)
        held, announced = self._count, self._stream.frames
        if media.format.name == "avi":
            # A frame that repeats the one before takes a place there, and no packet.
            held = max(held, self._largest_pts + 1)
        if media.format.name.startswith("mov"):
            # What an edit list leaves out may be gone from the index, and is not read.
            announced = min(announced, len(self._stream.index_entries))
        if held < announced:
            reason = f"is cut short: {held} of the {announced} frames announced"
            raise MediaError(name, reason)

    def timeline(self) -> Timeline:
        """Returns when frames are shown; raises where timestamps name no frame."""
        if not self._shown.count or not self._shown.is_timed:
            raise TimelineMismatchError
        first, starts, duration = self._shown.in_order()
        if (starts[1:] == starts[:-1]).any():
            raise TimelineMismatchError
        time_base = Fraction(self._stream.time_base)
        return Timeline(starts, duration, time_base, first, self._coded)
