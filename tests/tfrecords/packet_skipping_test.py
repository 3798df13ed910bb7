import hashlib
import random
from pathlib import Path

import av
import numpy as np
import pytest

from tfrecords.decoding import decode_frames
from tfrecords.packet_skipping import (
    DECODE,
    LEAVE_OUT,
    REFERENCES,
    CodedPackets,
    holds_idr,
    plan_skips,
)

_CLIPS = Path("/work/shared/data/clips")
_SIZE = (96, 128)


def _packets(text):
    """Returns a packet per letter: capitals are IDR, positions are timestamps."""
    packets = CodedPackets()
    for place, name in enumerate(text):
        packets.add(place, is_idr=name.isupper())
    return packets


@pytest.mark.parametrize(
    ("coded", "wanted", "plan"),
    [
        # D decodes, n decodes what others need, - leaves out.
        ("Ibbb Pbb", {0}, "D-------"),
        ("Ibbbbb", {3}, "nnnD--"),
        ("IbbIbb", {1}, "nD----"),
        ("IbbIbb", {4}, "---nD-"),
        ("IbbIbb", {2, 3}, "nnDD--"),
        # Packets before the first IDR belong to a group of their own.
        ("bbIbb", {1}, "nD---"),
        ("iiib", {3}, "nnnD"),
        ("IbIb", set(), "----"),
    ],
)
def test_packets_after_the_last_wanted_one_of_a_group_are_left_out(coded, wanted, plan):
    got = "".join("-nD"[skip] for skip in plan_skips(_packets(coded), wanted))
    assert got == plan


def test_a_packet_without_a_timestamp_is_always_decoded():
    packets = CodedPackets()
    for pts in (0, None, 2):
        packets.add(pts, is_idr=pts == 0)
    assert list(plan_skips(packets, set())) == [REFERENCES, DECODE, LEAVE_OUT]


@pytest.mark.parametrize(
    ("packet", "extradata", "found"),
    [
        # NAL types: 9 delimiter, 6 SEI, 5 IDR slice, 1 other slice.
        (b"\0\0\0\2\x06\0\0\0\0\2\x65\0", b"\1\0\0\0\xff", True),
        (b"\0\0\0\2\x06\0\0\0\0\2\x41\0", b"\1\0\0\0\xff", False),
        (b"\0\2\x06\0\0\2\x65\0", b"\1\0\0\0\xfd", True),
        (b"\0\0\0\1\x09\xf0\0\0\1\x65\0", None, True),
        (b"\0\0\1\x09\xf0\0\0\1\x41\0", b"\0\0\0\1\x67", False),
        (b"\0\0\1", None, False),
        (b"", None, False),
        # A length that leads out of the packet ends the search.
        (b"\xff\xff\xff\xff\x06\x65", b"\1\0\0\0\xff", False),
    ],
)
def test_idr_slices_are_found_in_both_forms_of_packets(packet, extradata, found):
    assert holds_idr(packet, extradata) is found


def _noise(path, num_frames, x264, *, name="libx264", starts=None, bf="3"):
    """Writes moving noise, encoded with many references between frames."""
    draw = np.random.default_rng(5)
    height, width = _SIZE
    field = draw.integers(0, 256, (height * 2, width * 2, 3), dtype=np.uint8)
    with av.open(str(path), "w") as media:
        options = {"bf": bf} | ({"x264-params": x264} if x264 else {})
        stream = media.add_stream(name, rate=25, options=options)
        stream.height, stream.width = _SIZE
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            top, left = (3 * number) % height, (5 * number) % width
            pixels = field[top : top + height, left : left + width].copy()
            pixels[:8, :8] = 9 * number % 256
            frame = av.VideoFrame.from_ndarray(pixels, "bgr24")
            frame.pts = number if starts is None else starts[number]
            media.mux(stream.encode(frame))
        media.mux(stream.encode(None))
    return path


def _full_decode(path):
    """Decodes all frames in display order with the decoder alone."""
    with av.open(str(path), metadata_errors="replace") as media:
        stream = media.streams.video[0]
        stream.thread_type = "NONE"
        return [_hash(frame) for frame in media.decode(stream)]


def _hash(frame):
    return hashlib.sha256(frame.to_ndarray().tobytes()).digest()


def _assert_equal_to_full_decode(path, num_draws, seed=0):
    full = _full_decode(path)
    draw = random.Random(seed)
    choices = [{0}, {len(full) - 1}, set(range(len(full)))]
    for share in [1, 2, 5, 12] * (num_draws // 4):
        choices.append({draw.randrange(len(full)) for _ in range(share)})
    for wanted in choices:
        timeline, kept = decode_frames(
            path,
            lambda _, wanted=wanted: wanted,
            lambda picture: _hash(picture.frame),
        )
        assert len(timeline.starts) == len(full)
        assert set(kept) == wanted
        assert [k for k in sorted(wanted) if kept[k] != full[k]] == []
    return timeline


@pytest.mark.parametrize(
    "x264",
    [
        "keyint=12:b-pyramid=normal:b-adapt=0:ref=4",
        "keyint=12:b-pyramid=strict:b-adapt=0:ref=2",
        "keyint=12:b-pyramid=none:b-adapt=0",
        "keyint=12:open-gop=1:b-adapt=0:ref=4",
        "keyint=250:scenecut=0:b-adapt=2:ref=6",
        "keyint=12:bframes=0",
        "keyint=1",
        "keyint=30:intra-refresh=1",
        "keyint=20:slices=3",
        "keyint=20:interlaced=1:b-adapt=0",
        "keyint=20:weightp=2:weightb=1:direct=spatial",
    ],
)
@pytest.mark.parametrize("container", ["mp4", "ts", "mkv"])
def test_frames_of_any_choice_are_those_of_a_full_decode(tmp_path, x264, container):
    clip = _noise(tmp_path / f"clip.{container}", 70, x264)
    assert _assert_equal_to_full_decode(clip, 8).packets


def test_packets_too_large_to_keep_are_read_again(tmp_path, monkeypatch):
    clip = _noise(tmp_path / "clip.mp4", 70, "keyint=12:b-adapt=0")
    for num_bytes in (0, clip.stat().st_size // 2):
        monkeypatch.setattr("tfrecords.timeline._MAX_HELD_BYTES", num_bytes)
        assert _assert_equal_to_full_decode(clip, 4).packets


def test_an_open_group_of_pictures_is_not_an_idr(tmp_path):
    clip = _noise(tmp_path / "open.mp4", 70, "keyint=12:open-gop=1:b-adapt=0")
    timeline, _ = decode_frames(clip, lambda _: {0}, lambda _: None)
    assert timeline.packets.is_idr.count(1) == 1
    closed = _noise(tmp_path / "closed.mp4", 70, "keyint=12:scenecut=0:b-adapt=0")
    timeline, _ = decode_frames(closed, lambda _: {0}, lambda _: None)
    # Frames 0, 12, 24, 36, 48, 60.
    assert timeline.packets.is_idr.count(1) == 6


def test_frames_of_a_variable_rate_are_those_of_a_full_decode(tmp_path):
    draw = random.Random(3)
    starts = np.cumsum([draw.choice([1, 1, 2, 7]) for _ in range(70)]).tolist()
    clip = _noise(tmp_path / "vfr.mp4", 70, "keyint=12:b-adapt=0", starts=starts)
    timeline = _assert_equal_to_full_decode(clip, 8)
    assert len(set(np.diff(timeline.starts).tolist())) == 3


def test_frames_after_an_edit_list_are_those_of_a_full_decode(tmp_path):
    whole = _noise(tmp_path / "whole.mp4", 70, "keyint=12:b-adapt=0")
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        ticks = 17 * int(1 / (25 * stream.time_base))
        for packet in source.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = copy
                target.mux(packet)
    with av.open(str(cut)) as media:
        hidden = sum(packet.is_discard for packet in media.demux(video=0))
        announced = media.streams.video[0].frames
        read = len(media.streams.video[0].index_entries)
    assert hidden > 0
    # Whole groups before the cut are not even read.
    assert read < announced == 70
    _assert_equal_to_full_decode(cut, 8)


@pytest.mark.parametrize(
    ("name", "codec", "bf"), [("a.avi", "mpeg4", "2"), ("a.avi", "libx264", "2")]
)
def test_streams_without_usable_packets_are_decoded_completely(
    tmp_path, name, codec, bf
):
    clip = _noise(tmp_path / name, 40, None, name=codec, bf=bf)
    assert _assert_equal_to_full_decode(clip, 4).packets is None


def _clips():
    return sorted(p for p in _CLIPS.rglob("*") if p.suffix in {".mp4", ".avi"})


@pytest.mark.skipif(not _clips(), reason="the shared test clips are not here")
@pytest.mark.parametrize("clip", _clips(), ids=lambda clip: clip.name)
def test_real_clips_give_every_frame_of_a_full_decode(clip):
    _assert_equal_to_full_decode(clip, 4)
