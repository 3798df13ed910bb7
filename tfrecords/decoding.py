"""Decodes chosen frames of a media file, with the times at which they are displayed.

The frame count, duration and extension of a container, and in some AVI files its
timestamps, are often wrong and are not used. A first pass reads the packets without
decoding them and builds the `Timeline`. A second pass decodes the packets that the
chosen frames depend on, and compares each decoded frame with the timeline. If they
differ, the timeline is built again from the decoded frames. Frames that are not chosen
are not kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from tfrecords import packet_skipping, still_images
from tfrecords.decoded_frames import MediaError, Picture
from tfrecords.timeline import (
    Timeline,
    TimelineMismatchError,
    read_decoded_timeline,
    read_packet_timeline,
)
from tfrecords.video_container import open_video

_T = TypeVar("_T")


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
    if still_images.is_still(path):
        return still_images.decode_still(path, choose, convert)
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
    """Yields the decoded frames in display order.

    Args:
        name: File name, for errors.
        packets: Packets of the stream, up to the final empty one.
        stream: Video stream.
        plan: Action for each packet (`packet_skipping.plan_skips`); None decodes all.
    """
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
    """Opens a file again, and decodes and converts the chosen frames."""
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
