"""Samples a fixed number of small JPEG frames of a video or a slideshow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tfrecords.decoding import Picture, decode_frames
from tfrecords.errors import DataError, MediaError
from tfrecords.timeline import Timeline

# Increased whenever the same file gives different bytes, so that a directory of records
# never mixes versions.
SAMPLING_VERSION = "3"
_US_PER_S = 1_000_000


@dataclass(frozen=True)
class SamplingConfig:
    """Selection and format of the sampled frames (section IV-A).

    Attributes:
        num_frames: Number of frames per video, 1 to 100,000; 50 in the paper.
        image_size: Height and width of the stored frames in pixels, 1 to 65,500.
        fps: 0 distributes `num_frames` frames evenly over the duration, as the paper
            does. From 0.001 to 1000: samples the frames displayed at 0, 1/fps, 2/fps, …
            seconds, at most `num_frames`.
        resize: "stretch" scales both sides to `image_size`, as the paper does; "crop"
            keeps the aspect ratio and crops to the centre square.
        slideshows: "frames" uses the images as frames; "drop" gives a slideshow no
            frames, as the paper does.
        jpeg_quality: JPEG quality, 1 to 100.

    Raises:
        DataError: A value is outside its range.
    """

    num_frames: int = 50
    image_size: int = 224
    fps: float = 0.0
    resize: str = "stretch"
    slideshows: str = "frames"
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        rules = {
            "num_frames": (1 <= self.num_frames <= 100_000, "from 1 to 100000"),
            "image_size": (1 <= self.image_size <= 65_500, "1 to 65500 pixels"),
            "fps": (
                self.fps == 0 or 0.001 <= self.fps <= 1000,
                "0, or from 0.001 to 1000 frames a second",
            ),
            "resize": (self.resize in RESIZES, f"one of {RESIZES}"),
            "slideshows": (self.slideshows in SLIDESHOWS, f"one of {SLIDESHOWS}"),
            "jpeg_quality": (1 <= self.jpeg_quality <= 100, "1 to 100"),
        }
        for name, (is_valid, rule) in rules.items():
            if not is_valid:
                value = getattr(self, name)
                raise DataError(f"`{name}` must be {rule}. Received: {name}={value!r}")


RESIZES = ("stretch", "crop")
SLIDESHOWS = ("frames", "drop")


@dataclass(frozen=True)
class SampledFrames:
    """Frames sampled from one post.

    Attributes:
        timestamps_us: Start of each frame in microseconds after the first frame of the
            video. A repeated frame repeats its timestamp. Slides start at whole
            seconds.
        jpegs: As many JPEG files, RGB.
        duration_us: Microseconds from the first frame to the end of the last.
        source_num_frames: Number of frames (or slides) of the post.
        bad_slides: Errors of the slides that could not be read.
    """

    timestamps_us: tuple[int, ...]
    jpegs: list[bytes]
    duration_us: int
    source_num_frames: int
    bad_slides: tuple[MediaError, ...] = ()


def sample_media(
    files: Sequence[Path], config: SamplingConfig, *, is_slideshow: bool
) -> SampledFrames:
    """Samples frames of the images of a slideshow, or of a video, which is one file.

    Raises:
        MediaError: A file cannot be decoded completely.
    """
    if is_slideshow:
        return sample_slideshow(files, config)
    return sample_frames(files[0], config)


def sample_frames(path: Path, config: SamplingConfig) -> SampledFrames:
    """Samples frames of a video by their display time (section IV-A).

    Frame i is the frame on display at t_i = (i + 1/2) / num_frames * duration: the last
    one that starts at or before t_i. Frames of a video with fewer than `num_frames`
    frames are repeated.

    Raises:
        MediaError: The file cannot be decoded completely.
    """
    timeline, jpegs = decode_frames(
        path,
        choose=lambda timeline: set(choose_positions(timeline, config).tolist()),
        convert=partial(_encode, config),
    )
    return _assemble(timeline, jpegs, config)


def sample_slideshow(paths: Sequence[Path], config: SamplingConfig) -> SampledFrames:
    """Samples frames of a slideshow, in which each image is displayed for one second.

    Unreadable images are ignored, as if the slideshow did not contain them.

    Raises:
        MediaError: There is no image, or none can be read.
    """
    jpegs: dict[Path, bytes] = {}
    bad: list[MediaError] = []
    shown = list(paths)
    while shown:
        starts = np.arange(len(shown), dtype=np.int64)
        timeline = Timeline(starts, len(shown), Fraction(1))
        chosen = [shown[p] for p in sorted(set(choose_positions(timeline, config)))]
        failed = {}
        for path in chosen:
            if path not in jpegs:
                try:
                    _, slide = decode_frames(path, _first, partial(_encode, config))
                    jpegs[path] = slide[0]
                except MediaError as error:
                    failed[path] = error
        if not failed:
            by_position = {p: jpegs[f] for p, f in enumerate(shown) if f in jpegs}
            sampled = _assemble(timeline, by_position, config)
            return replace(sampled, bad_slides=tuple(bad))
        # The choice depends on the number of readable images.
        bad += failed.values()
        shown = [path for path in shown if path not in failed]
    raise bad[0] if bad else MediaError("slideshow", "contains no image")


def _first(_: Timeline) -> set[int]:
    return {0}


def choose_positions(
    timeline: Timeline, config: SamplingConfig
) -> npt.NDArray[np.int64]:
    """Returns the positions of the frames to sample, in display order.

    Returns:
        int64 (num_frames,), ascending, with repetitions if the video has fewer frames.
        With `fps`, shorter if the video ends before `num_frames`.
    """
    if config.fps > 0:
        # As floats, rates such as 30000/1001 are not exact, and a time just below the
        # start of a frame would select the previous frame.
        step = 1 / Fraction(config.fps).limit_denominator(1001) / timeline.time_base
        num_frames = min(config.num_frames, -(-timeline.duration // step))
        times = [int(i * step) for i in range(num_frames)]
    else:
        count = config.num_frames
        times = [(2 * i + 1) * timeline.duration // (2 * count) for i in range(count)]
    # Starts are whole ticks, so that rounding a time down changes no comparison.
    ends = np.searchsorted(timeline.starts, np.array(times, np.int64), side="right")
    return (ends - 1).astype(np.int64)


def _assemble(
    timeline: Timeline, jpegs: dict[int, bytes], config: SamplingConfig
) -> SampledFrames:
    positions = choose_positions(timeline, config)
    us_per_tick = timeline.time_base * _US_PER_S
    starts = tuple(round(int(timeline.starts[p]) * us_per_tick) for p in positions)
    return SampledFrames(
        timestamps_us=starts,
        jpegs=[jpegs[p] for p in positions.tolist()],
        duration_us=max(starts[-1] + 1, round(timeline.duration * us_per_tick)),
        source_num_frames=len(timeline.starts),
    )


def _fit(picture: Picture, config: SamplingConfig) -> npt.NDArray[np.uint8]:
    """Returns the resized, upright frame, uint8 BGR (image_size, image_size, 3)."""
    if config.resize == "stretch" and config.image_size <= min(picture.size):
        resized = picture.shrink(config.image_size, config.image_size)
    else:
        resized = _resize(picture, config)
    return np.ascontiguousarray(np.rot90(resized, picture.quarter_turns))


def _resize(picture: Picture, config: SamplingConfig) -> npt.NDArray[np.uint8]:
    """Returns the frame cropped or upscaled, from its full-size pixels."""
    pixels = picture.pixels
    if config.resize == "crop":
        pixels = _crop_square(pixels, picture.pixel_aspect)
    size = config.image_size
    shrinks = size < max(pixels.shape[:2])
    # INTER_AREA averages the covered pixels; INTER_LINEAR would skip some of them.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: npt.NDArray[np.uint8] = cv2.resize(
        pixels, (size, size), interpolation=method
    )
    return resized


def _crop_square(
    pixels: npt.NDArray[np.uint8], pixel_aspect: Fraction
) -> npt.NDArray[np.uint8]:
    """Returns the largest centred crop that is square when displayed."""
    height, width = pixels.shape[:2]
    side = min(Fraction(height), width * pixel_aspect)
    rows, columns = max(1, round(side)), max(1, round(side / pixel_aspect))
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def _encode(config: SamplingConfig, picture: Picture) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality]
    # OpenCV converts from BGR when it encodes JPEG.
    _, encoded = cv2.imencode(".jpg", _fit(picture, config), quality)
    return bytes(encoded.tobytes())
