"""Finds the packets of an H.264 stream that need not be decoded for chosen frames.

Two rules of the standard ensure that the chosen frames do not change:

- No other frame is predicted from a non-reference frame (`nal_ref_idc` 0), so that the
  decoder can skip it.
- No frame after an IDR picture depends on a frame before it. Between two IDR pictures,
  the packets after the last chosen frame are therefore not needed.

The keyframe flag is not sufficient for the second rule: in an open group of pictures,
frames after a keyframe are predicted from frames before it. The bytes of the packets
are therefore searched for IDR slices.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection

CODECS = frozenset({"h264"})
# Actions: omit a packet, decode it if it is a reference frame, or decode it always;
# SKIP_FRAME has FFmpeg's names of the last two.
LEAVE_OUT, REFERENCES, DECODE = range(3)
SKIP_FRAME = {REFERENCES: "NONREF", DECODE: "DEFAULT"}
_NO_PTS = -(2**63)  # FFmpeg's AV_NOPTS_VALUE
_IDR_SLICE = 5
_START_CODE = b"\0\0\1"


class CodedPackets:
    """Timestamps and IDR flags of packets in decoding order, 9 bytes per packet."""

    def __init__(self) -> None:
        self.pts = array("q")
        self.is_idr = bytearray()

    def __len__(self) -> int:
        return len(self.pts)

    def add(self, pts: int | None, *, is_idr: bool) -> None:
        """Adds a packet, with its timestamp in ticks, if it has one."""
        self.pts.append(_NO_PTS if pts is None else pts)
        self.is_idr.append(is_idr)


def holds_idr(packet: bytes, extradata: bytes | None) -> bool:
    """Returns whether a packet contains a slice of an IDR picture.

    Args:
        packet: Bytes of the packet as stored in the container.
        extradata: Extradata of the stream. It starts with 1 if NAL units are preceded
            by their lengths (mp4, mkv), and not by start codes (ts).
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


def plan_skips(packets: CodedPackets, chosen: Collection[int]) -> bytearray:
    """Returns the action for each packet; `chosen` are timestamps of frames.

    Returns:
        LEAVE_OUT, REFERENCES or DECODE for each packet.
    """
    chosen = {_NO_PTS, *chosen}
    plan = bytearray(len(packets))
    is_needed = False
    for index in reversed(range(len(packets))):
        is_chosen = packets.pts[index] in chosen
        is_needed |= is_chosen
        if is_needed:
            plan[index] = DECODE if is_chosen else REFERENCES
        if packets.is_idr[index]:
            is_needed = False
    return plan
