"""Decoding: from a media file to the frames that a viewer sees, and when.

Nothing here trusts a container: its frame count, its duration, its extension and, in
some AVI files, its timestamps are wrong often enough. A first pass reads the packets
without decoding them and gives the `Timeline`; a second pass decodes in one go what the
frames asked for need, and checks every frame against the timeline on the way. Where
the two disagree, the timeline is taken again from the decoded frames. No frame is kept,
and of each that is not wanted only when it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from tfrecords import packet_skipping as skipping

from tfrecords import still_images as stills
from tfrecords.video_container import open_video
from tfrecords.decoded_frames import MediaError, Picture
from tfrecords.timeline import (
    Timeline,
    TimelineMismatchError,
    read_decoded_timeline,
    read_packet_timeline,
)

_T = TypeVar("_T")


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
        with open_video(path) as (media, stream):
            timeline, packets = read_packet_timeline(path.name, media, stream)
            wanted = choose(timeline)
            if packets is not None:
                plan = timeline.plan_skips(wanted)
                frames = _decode(path.name, packets, stream, plan)
                return timeline, _keep(
                    path.name, stream, frames, timeline, wanted, convert
                )
        return timeline, _decode_again(path, timeline, wanted, convert)
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
    """Yields the frames in display order.

    Args:
        name: file name, for errors.
        packets: of the stream, up to the empty one that ends it.
        stream: the video stream.
        plan: what to do with each packet, as `skipping.plan_skips` says; None decodes
            all.
    """
    skips = iter(() if plan is None else plan)
    for packet in packets:
        if packet.size and plan is not None:
            skip = next(skips, skipping.DECODE)
            if skip == skipping.LEAVE_OUT:
                continue
            stream.codec_context.skip_frame = skipping.SKIP_FRAME[skip]
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
    with open_video(path) as (media, stream):
        packets, plan = media.demux(stream), timeline.plan_skips(wanted)
        frames = _decode(path.name, packets, stream, plan)
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
        TimelineMismatchError: a frame came that the timeline does not hold at this
            place, or one that it holds did not come.
    """
    kept: dict[int, _T] = {}
    position = -1
    for frame in frames:
        position = timeline.find_next(frame.pts, position)
        if position in wanted:
            kept[position] = convert(_read_picture(name, frame, stream))
    is_whole = timeline.packets is not None or position + 1 == len(timeline.starts)
    if len(kept) < len(wanted) or not is_whole:
        raise TimelineMismatchError
    return kept


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
