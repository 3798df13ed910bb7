"""Measures the cost of sampling frames, compared with decoding and two other projects.

    python -m benchmarks.frames

The clips are synthetic, 576 x 1024 at 30 frames per second, 15 s and 60 s long, H.264
with x264's default settings: a camera moving over a texture with detail of all sizes,
cuts, a moving disc, and noise, at about the bitrate of the platform. 50 frames of 224
px are sampled of each clip as JPEG:

- ours: `tfrecords.frame_sampling.sample_frames`;
- youtube-8m, reimplemented from its feature_extractor: OpenCV reads all frames and
  keeps one per time interval; here the frame is also resized and encoded;
- dmvr, reimplemented from its examples/generate_from_file.py: ffmpeg with the filters
  `fps` and `scale` writes JPEG files to a pipe.

For comparison, complete decodes without output: ffmpeg and PyAV with one thread, and
OpenCV's `grab()`. Prints CPU seconds (user and system, including children, without
imports) as medians of interleaved runs in separate processes, and our share of each;
then the speed-up of two processes, and the peak memory of a ten-minute clip. Rows of
ffmpeg are omitted if it is not installed.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.turns import own_memory, run_alone
from dc_keras import __version__
from tfrecords.frame_sampling import SamplingConfig, sample_frames

_SECONDS = (15, 60)
_NUM_RUNS = 5
_FPS, _HEIGHT, _WIDTH = 30, 1024, 576
_NOISE = 3.0  # standard deviation, of 255
_SMOOTHNESS = 1.25  # with that noise about 1.4 Mbit a second
_NUM_FRAMES, _SIZE = 50, 224
_NUM_COPIES = 8
_JPEG_START = b"\xff\xd8"


def write_clip(path: Path, seconds: int) -> None:
    """Writes a clip that depends only on its length."""
    draw = np.random.default_rng(seconds)
    texture = _make_texture(draw)
    noise = [
        np.repeat(np.clip(draw.normal(128, _NOISE, (_HEIGHT, _WIDTH, 1)), 0, 255), 3, 2)
        for _ in range(31)
    ]
    noise = [grain.astype(np.uint8) for grain in noise]
    with av.open(str(path), "w") as media:
        stream = media.add_stream("libx264", rate=_FPS)
        stream.height, stream.width, stream.pix_fmt = _HEIGHT, _WIDTH, "yuv420p"
        for number in range(seconds * _FPS):
            grain = noise[int(draw.integers(len(noise)))]
            scene = _draw_scene(texture, number)
            pixels = cv2.addWeighted(scene, 1, grain, 1, -128)
            frame = av.VideoFrame.from_ndarray(pixels, "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, _FPS)
            media.mux(stream.encode(frame))
        media.mux(stream.encode(None))


def _make_texture(draw: np.random.Generator) -> np.ndarray:
    """Returns a texture with detail of all sizes, uint8 (2 height, 2 width, 3)."""
    height, width = 2 * _HEIGHT, 2 * _WIDTH
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1
    planes = []
    for _ in range(3):
        waves = draw.normal(size=frequency.shape) + 1j * draw.normal(
            size=frequency.shape
        )
        plane = np.fft.irfft2(waves / frequency**_SMOOTHNESS, s=(height, width))
        planes.append((plane - plane.mean()) / plane.std())
    # Brightness varies more than colour.
    mixed = [110 + 38 * (0.8 * planes[0] + 0.2 * plane) for plane in planes]
    pixels: np.ndarray = np.clip(np.stack(mixed, axis=-1), 0, 255)
    return pixels.astype(np.uint8)


def _draw_scene(texture: np.ndarray, number: int) -> np.ndarray:
    """Returns the view of the camera, uint8 (height, width, 3)."""
    t = number / _FPS
    scene = int(t // 5)
    left = _WIDTH / 2 * (1 + np.sin(0.4 * t + scene))
    top = _HEIGHT / 2 * (1 + np.cos(0.3 * t + 2 * scene))
    shift = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
    pixels = cv2.warpAffine(texture, shift, (_WIDTH, _HEIGHT))
    pixels = np.ascontiguousarray(pixels[:: 1 - 2 * (scene % 2)])
    centre = (
        int(_WIDTH / 2 + _WIDTH / 3 * np.sin(3 * t)),
        int(_HEIGHT / 2 + _HEIGHT / 3 * np.cos(2 * t)),
    )
    cv2.circle(pixels, centre, 90, (40 + 20 * (scene % 8), 200, 120), -1)
    return pixels


def repeat_clip(source: Path, target: Path, times: int) -> None:
    """Writes a clip repeated several times, without encoding it again."""
    with av.open(str(target), "w") as out:
        copy = None
        for turn in range(times):
            with av.open(str(source)) as media:
                stream = media.streams.video[0]
                copy = copy or out.add_stream_from_template(stream)
                shift = turn * int(stream.duration)
                for packet in media.demux(stream):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copy
                        out.mux(packet)


def _ours(clip: str) -> int:
    return len(sample_frames(Path(clip), SamplingConfig()).jpegs)


def _youtube_8m(clip: str) -> int:
    media = cv2.VideoCapture(clip)
    every_ms = 1000 * _duration_s(clip) / _NUM_FRAMES
    jpegs: list[bytes] = []
    next_ms = 0.0
    while len(jpegs) < _NUM_FRAMES:
        shown_ms = media.get(cv2.CAP_PROP_POS_MSEC)
        is_read, pixels = media.read()
        if not is_read:
            break
        if shown_ms >= next_ms:
            next_ms += every_ms
            small = cv2.resize(pixels, (_SIZE, _SIZE))
            jpegs.append(cv2.imencode(".jpg", small)[1].tobytes())
    return len(jpegs)


def _dmvr(clip: str) -> int:
    rate = _NUM_FRAMES / _duration_s(clip)
    filters = f"fps={rate:.6f},scale={_SIZE}:{_SIZE}"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", clip, "-vf", filters]
    done = subprocess.run(
        [*command, "-f", "image2pipe", "pipe:"], capture_output=True, check=True
    )
    return done.stdout.count(_JPEG_START)


def _ffmpeg(clip: str) -> int:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", clip]
    subprocess.run([*command, "-an", "-f", "null", "-"], check=True)
    return 0


def _pyav(clip: str) -> int:
    with av.open(clip) as media:
        stream = media.streams.video[0]
        stream.thread_type = "NONE"
        return sum(1 for _ in media.decode(stream))


def _grab(clip: str) -> int:
    media = cv2.VideoCapture(clip)
    count = 0
    while media.grab():
        count += 1
    return count


def _duration_s(clip: str) -> float:
    with av.open(clip) as media:
        return float(media.duration / av.time_base)


WAYS: dict[str, Callable[[str], int]] = {
    "ours": _ours,
    "whole decode, ffmpeg, 1 thread": _ffmpeg,
    "whole decode, PyAV, 1 thread": _pyav,
    "whole decode, OpenCV grab()": _grab,
    "youtube-8m's way, 50 frames": _youtube_8m,
    "dmvr's way, 50 frames": _dmvr,
}
_BY_FFMPEG = (_ffmpeg, _dmvr)


def run_once(name: str, clip: str) -> None:
    """Prints the CPU seconds of one way, its number of frames, and the peak MiB."""
    before = _cpu_seconds()
    count = WAYS[name](clip)
    print(_cpu_seconds() - before, count, own_memory())


def _cpu_seconds() -> float:
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(who) for who in both]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _measure(name: str, clip: Path) -> list[float]:
    """Returns what `run_once` prints in a process of its own."""
    code = "import sys; from benchmarks.frames import run_once; run_once(*sys.argv[1:])"
    # Otherwise the idle threads of NumPy's BLAS use 50 ms of CPU after the import.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return run_alone(code, name, clip, environment=environment)


def _print_costs(clip: Path, seconds: int) -> None:
    has_ffmpeg = shutil.which("ffmpeg") is not None
    ways = [name for name, way in WAYS.items() if has_ffmpeg or way not in _BY_FFMPEG]
    costs: dict[str, list[float]] = {name: [] for name in ways}
    counts = {}
    for _ in range(_NUM_RUNS):
        for name in ways:
            cost, counts[name], _ = _measure(name, clip)
            costs[name].append(cost)
    medians = {name: statistics.median(costs[name]) for name in ways}
    print(f"{f'{seconds} s':<34}{'frames':>8}{'CPU s':>8}{'ours / it':>11}")
    for name in ways:
        share = medians["ours"] / medians[name]
        print(f"{name:<34}{counts[name]:>8.0f}{medians[name]:>8.3f}{share:>11.2f}")
    print()


def _print_workers(clip: Path) -> None:
    """Prints how much sooner two processes are done than one, by the clock."""
    clips = [str(clip)] * _NUM_COPIES
    walls: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(_NUM_RUNS):
        for num_workers, wall in walls.items():
            wall.append(_wall_seconds(num_workers, clips))
    one, two = (statistics.median(wall) for wall in walls.values())
    print(
        f"{_NUM_COPIES} clips: {one:.2f} s by one process, {two:.2f} s by two, "
        f"{one / two:.2f} times; load average {os.getloadavg()[0]:.1f}"
    )


def _wall_seconds(num_workers: int, clips: list[str]) -> float:
    with ProcessPoolExecutor(num_workers, get_context("spawn")) as pool:
        # As many at once as there are processes: all of them have started then.
        list(pool.map(_warm_up, range(num_workers)))
        start = time.perf_counter()
        list(pool.map(_ours, clips))
        return time.perf_counter() - start


def _warm_up(_: int) -> None:
    cv2.setNumThreads(1)
    time.sleep(1)


def main() -> None:
    """Prints the tables."""
    print(
        f"dc_keras {__version__}, Python {platform.python_version()}, "
        f"PyAV {av.__version__}, OpenCV {cv2.__version__}, {_ffmpeg_version()}, "
        f"{os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}; "
        f"medians of {_NUM_RUNS} interleaved runs, load average "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    with tempfile.TemporaryDirectory() as directory:
        clips = {seconds: Path(directory) / f"{seconds}.mp4" for seconds in _SECONDS}
        for seconds, clip in clips.items():
            write_clip(clip, seconds)
            _print_costs(clip, seconds)
        _print_workers(clips[_SECONDS[0]])
        long = Path(directory) / "long.mp4"
        repeat_clip(clips[60], long, 10)
        for name, clip in (("15 s", clips[15]), ("600 s", long)):
            cost, _, peak = _measure("ours", clip)
            print(f"peak memory of a clip of {name}: {peak:.0f} MiB ({cost:.2f} CPU s)")


def _ffmpeg_version() -> str:
    if shutil.which("ffmpeg") is None:
        return "no ffmpeg"
    output = subprocess.run(
        ["ffmpeg", "-version"], capture_output=True, text=True, check=True
    ).stdout
    return " ".join(output.split()[:3:2])


if __name__ == "__main__":
    main()
