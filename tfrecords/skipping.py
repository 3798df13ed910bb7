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

from collections.abc import Collection, Sequence
from dataclasses import dataclass

CODECS = frozenset({"h264"})
_IDR_SLICE = 5
_START_CODE = b"\0\0\1"


@dataclass(frozen=True)
class CodedPacket:
    """A packet in the order of decoding.

    Attributes:
        pts: its timestamp in ticks, or None.
        is_idr: whether decoding can begin here, and forget all before.
    """

    pts: int | None
    is_idr: bool


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


def plan_skips(
    packets: Sequence[CodedPacket], wanted: Collection[int]
) -> list[str | None]:
    """Returns what to do with each packet.

    Args:
        packets: all of a stream, in the order of decoding.
        wanted: timestamps of the frames that matter.

    Returns:
        For each packet "DEFAULT" to decode it, "NONREF" to decode it if other frames
        are predicted from it, None to leave it out.
    """
    plan: list[str | None] = []
    is_needed = False
    for packet in reversed(packets):
        is_wanted = packet.pts is None or packet.pts in wanted
        is_needed |= is_wanted
        plan.append("DEFAULT" if is_wanted else "NONREF" if is_needed else None)
        if packet.is_idr:
            is_needed = False
    return plan[::-1]
