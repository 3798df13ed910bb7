"""Clips whose frames contain their numbers, so that tests can identify them."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from tqdm import tqdm

from tfrecords import shard_runs

_BITS = 16
_BLOCK = 32  # pixels; four by four blocks make a frame of 128 x 128


def draw_number(number, size=(128, 128)):
    """Returns a frame (height, width, 3) whose blocks are the bits of a number."""
    bits = np.array([(number >> bit) & 1 for bit in range(_BITS)], np.uint8)
    blocks = np.kron(bits.reshape(4, 4) * 200 + 28, np.ones((_BLOCK, _BLOCK), np.uint8))
    frame = np.repeat(blocks[:, :, None], 3, axis=2).astype(np.uint8)
    return cv2.resize(frame, size[::-1], interpolation=cv2.INTER_NEAREST)


def read_number(jpeg):
    """Returns the number that was drawn in a stored frame."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(pixels, (4, 4), interpolation=cv2.INTER_AREA) > 128
    return int(sum(int(bit) << place for place, bit in enumerate(small.ravel())))


def write_clip(
    path,
    num_frames,
    *,
    fps=25,
    starts_ms=None,
    codec="libx264",
    container=None,
    size=(128, 128),
    rotation=None,
    with_audio=False,
    options=None,
):
    """Writes frames numbered from 0, evenly or at the given milliseconds."""
    with av.open(str(path), "w", format=container) as media:
        stream = media.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if starts_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if with_audio:
            _add_silence(media)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(draw_number(number, size), "bgr24")
            frame.pts = number if starts_ms is None else starts_ms[number]
            frame.time_base = Fraction(1, fps if starts_ms is None else 1000)
            media.mux(stream.encode(frame))
        media.mux(stream.encode(None))
    return path


def _add_silence(media):
    sound = media.add_stream("aac", rate=44100)
    silence = av.AudioFrame.from_ndarray(
        np.zeros((1, 1024), np.float32), "fltp", "mono"
    )
    silence.rate, silence.pts = 44100, 0
    media.mux(sound.encode(silence))
    media.mux(sound.encode(None))


@pytest.fixture(name="write_clip")
def _write_clip():
    return write_clip


@pytest.fixture(name="read_number")
def _read_number():
    return read_number


@pytest.fixture(name="draw_number")
def _draw_number():
    return draw_number


@pytest.fixture
def terminal(capsys, monkeypatch):
    """Captures output as `capsys` does, with the bars that a terminal shows."""
    monkeypatch.setattr(
        shard_runs, "tqdm", lambda **options: tqdm(**{**options, "disable": False})
    )
    return capsys
