"""What of an H.264 stream need not be decoded to get some of its frames unchanged.

Two rules, both of the standard, so that no frame that is decoded can differ:

- A frame that no other one is predicted from (`nal_ref_idc` 0) matters to itself alone;
  the decoder leaves it out when told to.
- Nothing before an IDR picture is used after it. Between two of them, packets that come
  after the last wanted one are not needed at all.

A keyframe is not enough for the second rule: in an open group of pictures, frames after
it are predicted from frames before it. So the packet's own bytes are asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection

CODECS = frozenset({"h264"})
# What to do with a packet: not to decode it, to decode it if other frames are predicted
# from it, to decode it. The last two as FFmpeg calls them.
LEAVE_OUT, REFERENCES, DECODE = range(3)
SKIP_FRAME = {REFERENCES: "NONREF", DECODE: "DEFAULT"}
_NO_PTS = -(2**63)  # as FFmpeg writes it
_IDR_SLICE = 5
_START_CODE = b"\0\0\1"


class CodedPackets:
    """Packets in the order of decoding: 9 bytes each."""

    def __init__(self) -> None:
        self.pts = array("q")
        self.is_idr = bytearray()

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def num_idr(self) -> int:
        """How many of them decoding can begin with."""
        return self.is_idr.count(1)

    def add(self, pts: int | None, *, is_idr: bool) -> None:
        """Adds a packet.

        Args:
            pts: its timestamp in ticks, or None.
            is_idr: whether decoding can begin here, and forget all before.
        """
        self.pts.append(_NO_PTS if pts is None else pts)
        self.is_idr.append(is_idr)


def holds_idr(packet: bytes, extradata: bytes | None) -> bool:
    """Returns whether a packet holds a slice of an IDR picture.

    Args:
        packet: its bytes, as the container keeps them.
        extradata: the stream's; of a form that begins with 1 where packets are NAL
            units with their lengths (mp4, mkv), and not with start codes (ts).
    """
    if extradata and extradata[0] == 1 and len(extradata) > 4:
        return _IDR_SLICE in _types_by_length(packet, (extradata[4] & 3) + 1)
    return _IDR_SLICE in _types_by_start_code(packet)


def _types_by_length(packet: bytes, length_size: int) -> list[int]:
    types, at = [], 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        at += length_size
        types.append(packet[at] & 31)
        at += length
    return types


def _types_by_start_code(packet: bytes) -> list[int]:
    types, at = [], packet.find(_START_CODE)
    while 0 <= at < len(packet) - len(_START_CODE):
        at += len(_START_CODE)
        types.append(packet[at] & 31)
        at = packet.find(_START_CODE, at)
    return types


def plan_skips(packets: CodedPackets, wanted: Collection[int]) -> bytearray:
    """Returns what to do with each packet.

    Args:
        packets: all of a stream.
        wanted: timestamps of the frames that matter.

    Returns:
        For each packet LEAVE_OUT, REFERENCES or DECODE.
    """
    wanted = {_NO_PTS, *wanted}
    plan = bytearray(len(packets))
    is_needed = False
    for place in reversed(range(len(packets))):
        is_wanted = packets.pts[place] in wanted
        is_needed |= is_wanted
        if is_needed:
            plan[place] = DECODE if is_wanted else REFERENCES
        if packets.is_idr[place]:
            is_needed = False
    return plan
