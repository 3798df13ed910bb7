"""Sampling: a video or a slideshow becomes a fixed number of small JPEG frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dc_keras.errors import DataError
from tfrecords.decoding import decode_frames
from tfrecords.decoded_frames import MediaError, Picture
from tfrecords.timeline import Timeline

# Raised whenever the same file comes to give other bytes, so that no directory of
# records holds both.
SAMPLING_VERSION = "3"
_US_PER_S = 1_000_000


@dataclass(frozen=True)
class SamplingConfig:
    """Which frames are taken, and in what form (section IV-A).

    Attributes:
        num_frames: frames a video, 1 to 100,000; the paper takes 50.
        image_size: height and width of the stored frames in pixels.
        fps: 0 for `num_frames` frames spread evenly over the duration, as the paper
            does. From 0.001 to 1000: the frames shown at 0, 1/fps, 2/fps, … seconds, at
            most `num_frames`.
        resize: "stretch" gives both sides their size, as the paper does; "crop" keeps
            the aspect and takes the centre square.
        slideshows: "frames" takes the images as frames; "drop" leaves a slideshow
            without frames, as the paper does.
        jpeg_quality: 1 to 100.

    Raises:
        DataError: a value outside its range.
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
        for name, (holds, rule) in rules.items():
            if not holds:
                value = getattr(self, name)
                message = f"`{name}` must be {rule}. Received: {name}={value!r}"
                raise DataError(message)


RESIZES = ("stretch", "crop")
SLIDESHOWS = ("frames", "drop")


@dataclass(frozen=True)
class SampledFrames:
    """The frames taken from one post.

    Attributes:
        timestamps_us: int64 (num_frames,), when each frame begins to be shown, in
            microseconds after the first frame of the video. A frame that had to be
            repeated repeats its timestamp. Slides begin at whole seconds.
        jpegs: num_frames JPEG files, RGB.
        duration_us: microseconds from the first frame to the end of the last.
        source_num_frames: frames (or slides) that the post shows.
        height: pixels of the stored frames.
        width: pixels of the stored frames.
        bad_slides: why images of a slideshow are not among them.
    """

    timestamps_us: npt.NDArray[np.int64]
    jpegs: list[bytes]
    duration_us: int
    source_num_frames: int
    height: int
    width: int
    bad_slides: tuple[MediaError, ...] = ()


def sample_media(
    files: Sequence[Path], config: SamplingConfig, *, is_slideshow: bool
) -> SampledFrames:
    """Takes frames of a slideshow's images, or of a video, which is one file.

    Raises:
        MediaError: a file gives no frames, or not all of them.
    """
    if is_slideshow:
        return sample_slideshow(files, config)
    return sample_frames(files[0], config)


def sample_frames(path: Path, config: SamplingConfig) -> SampledFrames:
    """Takes frames of a video by the time at which they are shown (section IV-A).

    Frame i is the one on screen at t_i = (i + 1/2) / num_frames * duration: the last
    that begins at or before t_i. A video with fewer frames than asked gives some of
    them more than once.

    Args:
        path: the video file; its content decides, not its extension.
        config: which frames, in what form.

    Raises:
        MediaError: the file gives no frames, or not all of them.
    """
    timeline, jpegs = decode_frames(
        path,
        choose=lambda found: set(choose_positions(found, config).tolist()),
        convert=lambda picture: _encode(_fit(picture, config), config),
    )
    return _assemble(timeline, jpegs, config)


def sample_slideshow(paths: Sequence[Path], config: SamplingConfig) -> SampledFrames:
    """Takes frames of a slideshow: each image is shown for one second.

    An image that cannot be read is left out, as if the slideshow had never had it.

    Args:
        paths: the images in order.
        config: which frames, in what form.

    Raises:
        MediaError: there is no image, or none can be read.
    """
    jpegs: dict[Path, bytes] = {}
    bad: list[MediaError] = []
    shown = list(paths)
    while shown:
        starts = np.arange(len(shown), dtype=np.int64)
        timeline = Timeline(starts, len(shown), Fraction(1))
        wanted = [shown[p] for p in sorted(set(choose_positions(timeline, config)))]
        failed = {}
        for path in wanted:
            if path not in jpegs:
                try:
                    jpegs[path] = _sample_slide(path, config)
                except MediaError as error:
                    failed[path] = error
        if not failed:
            found = {p: jpegs[f] for p, f in enumerate(shown) if f in jpegs}
            sampled = _assemble(timeline, found, config)
            return replace(sampled, bad_slides=tuple(bad))
        # Which images are taken depends on how many there are.
        bad += failed.values()
        shown = [path for path in shown if path not in failed]
    raise bad[0] if bad else MediaError("slideshow", "holds no image")


def _sample_slide(path: Path, config: SamplingConfig) -> bytes:
    _, slide = decode_frames(
        path,
        choose=lambda _: {0},
        convert=lambda picture: _encode(_fit(picture, config), config),
    )
    return slide[0]


def choose_positions(
    timeline: Timeline, config: SamplingConfig
) -> npt.NDArray[np.int64]:
    """Returns the positions of the frames to take, in display order.

    Returns:
        int64 (num_frames,), ascending, with repeats where the video has fewer frames
        than asked; shorter with `fps` where the video ends before `num_frames`.
    """
    if config.fps > 0:
        # Rates such as 30000/1001 are not exact as floats: a time just below a frame's
        # start would give the frame before it.
        step = 1 / Fraction(config.fps).limit_denominator(1001) / timeline.time_base
        num_frames = min(config.num_frames, -(-timeline.duration // step))
        times = [int(i * step) for i in range(num_frames)]
    else:
        count = config.num_frames
        times = [(2 * i + 1) * timeline.duration // (2 * count) for i in range(count)]
    # Starts are whole ticks, so that rounding a time down changes no comparison.
    found = np.searchsorted(timeline.starts, np.array(times, np.int64), side="right")
    return (found - 1).astype(np.int64)


def _assemble(
    timeline: Timeline, jpegs: dict[int, bytes], config: SamplingConfig
) -> SampledFrames:
    positions = choose_positions(timeline, config)
    us_per_tick = timeline.time_base * _US_PER_S
    starts = [round(int(timeline.starts[p]) * us_per_tick) for p in positions]
    return SampledFrames(
        timestamps_us=np.array(starts, dtype=np.int64),
        jpegs=[jpegs[p] for p in positions.tolist()],
        duration_us=max(starts[-1] + 1, round(timeline.duration * us_per_tick)),
        source_num_frames=len(timeline.starts),
        height=config.image_size,
        width=config.image_size,
    )


def _fit(picture: Picture, config: SamplingConfig) -> npt.NDArray[np.uint8]:
    """Returns the frame upright, uint8 BGR (image_size, image_size, 3)."""
    if config.resize == "stretch" and config.image_size <= min(picture.size):
        resized = picture.shrink(config.image_size, config.image_size)
    else:
        resized = _resize(picture, config)
    return np.ascontiguousarray(np.rot90(resized, picture.quarter_turns))


def _resize(picture: Picture, config: SamplingConfig) -> npt.NDArray[np.uint8]:
    """Returns what has to be cut, or made larger, by way of all its pixels."""
    pixels = picture.pixels
    if config.resize == "crop":
        pixels = _crop_square(pixels, picture.pixel_aspect)
    size = config.image_size
    shrinks = size < max(pixels.shape[:2])
    # The mean of the pixels under a new one: linear skips pixels when shrinking.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: npt.NDArray[np.uint8] = cv2.resize(
        pixels, (size, size), interpolation=method
    )
    return resized


def _crop_square(
    pixels: npt.NDArray[np.uint8], pixel_aspect: Fraction
) -> npt.NDArray[np.uint8]:
    """Returns the largest centred part that is square on screen."""
    height, width = pixels.shape[:2]
    side = min(Fraction(height), width * pixel_aspect)
    rows, columns = max(1, round(side)), max(1, round(side / pixel_aspect))
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]


def _encode(pixels: npt.NDArray[np.uint8], config: SamplingConfig) -> bytes:
    quality = [cv2.IMWRITE_JPEG_QUALITY, config.jpeg_quality]
    # OpenCV takes BGR and writes the JPEG that every reader shows as RGB.
    _, encoded = cv2.imencode(".jpg", pixels, quality)
    return bytes(encoded.tobytes())
