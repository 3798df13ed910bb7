import base64
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from tfrecords.decoding import decode_frames, is_still
from tfrecords.errors import MediaError

_ROOT = Path(__file__).parents[2]


def _write_many_frames(path, num_frames, codec):
    """Writes equal frames of few pixels, 25 per second."""
    side = 16 if codec == "libx264" else 4  # raw then 24 bytes a frame
    with av.open(str(path), "w") as media:
        options = {"preset": "ultrafast", "bf": "2"} if codec == "libx264" else {}
        stream = media.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        pixels = np.zeros((side, side, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, "bgr24")
        frame = frame.reformat(format=stream.pix_fmt)
        frame.time_base = Fraction(1, 25)
        for number in range(num_frames):
            frame.pts = number
            media.mux(stream.encode(frame))
        media.mux(stream.encode(None))
    return path


def _decode(path, wanted=(0,)):
    return decode_frames(path, lambda _: set(wanted), lambda picture: picture)


def _decode_all(path):
    timeline, kept = decode_frames(
        path,
        lambda found: range(len(found.starts)),
        lambda picture: cv2.imencode(".jpg", picture.pixels)[1].tobytes(),
    )
    return timeline, [kept[k] for k in sorted(kept)]


def test_every_frame_is_found_among_frames_that_are_left_out(
    tmp_path, write_clip, read_number
):
    # Many B-frames, most of them not referenced: they are what may be left out.
    options = {"bf": "3", "b_strategy": "0", "g": "30"}
    clip = write_clip(tmp_path / "b.mp4", 40, options=options)
    for wanted in range(40):
        _, kept = decode_frames(
            clip,
            lambda _, wanted=wanted: {wanted},
            lambda picture: cv2.imencode(".jpg", picture.pixels)[1].tobytes(),
        )
        assert {k: read_number(jpeg) for k, jpeg in kept.items()} == {wanted: wanted}


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.webm", "libvpx"),
        ("a.webm", "libvpx-vp9"),
        ("a.mp4", "libx265"),
        ("a.mp4", "libsvtav1"),
        ("a.flv", "flv1"),
    ],
)
def test_frames_come_in_order_from_every_container(
    tmp_path, write_clip, read_number, name, codec
):
    clip = write_clip(tmp_path / name, 20, codec=codec)
    timeline, jpegs = _decode_all(clip)
    assert [read_number(jpeg) for jpeg in jpegs] == list(range(20))
    # 20 frames at 25 a second last .8 s.
    assert timeline.duration * timeline.time_base == pytest.approx(0.8)


def test_timestamps_that_name_no_frame_fall_back_to_the_order_shown(
    tmp_path, write_clip, read_number
):
    # AVI keeps no presentation times: those of B-frames are those of storage.
    options = {"bf": "2", "b_strategy": "0"}
    clip = write_clip(tmp_path / "b.avi", 20, options=options)
    timeline, jpegs = _decode_all(clip)
    assert [read_number(jpeg) for jpeg in jpegs] == list(range(20))
    assert timeline.first_pts is None
    assert timeline.duration * timeline.time_base == pytest.approx(0.8, abs=0.08)
    assert np.all(np.diff(timeline.starts) >= 0)


def test_stream_without_timestamps_is_evenly_spaced(tmp_path, write_clip, read_number):
    clip = write_clip(tmp_path / "raw.h264", 10, container="h264")
    timeline, jpegs = _decode_all(clip)
    assert [read_number(jpeg) for jpeg in jpegs] == list(range(10))
    assert np.diff(timeline.starts).min() == np.diff(timeline.starts).max()


def _no_frame(path):
    with av.open(str(path), "w", format="mp4") as media:
        stream = media.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), "fltp", "mono"
        )
        silence.rate, silence.pts = 44100, 0
        media.mux(stream.encode(silence))
        media.mux(stream.encode(None))


def _no_packet(path):
    # Matroska may announce a stream of which no frame follows.
    with av.open(str(path), "w", format="matroska") as media:
        stream = media.add_stream("mpeg4", rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        media.start_encoding()


def _playlist(path):
    path.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n")


def _picture_of_lines(path):
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>')


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (
            lambda path: path.write_bytes(b"GET / HTTP/1.1\n" * 99),
            "cannot be decoded: ",
        ),
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (_no_frame, "contains no video stream"),
        (_no_packet, "is truncated and cannot be decoded"),
        (_playlist, ""),
        (_picture_of_lines, "has an unsupported coding"),
    ],
)
def test_what_gives_no_frames_is_an_error_with_a_reason(tmp_path, make, reason):
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(MediaError, match=rf"^clip\.mp4: {reason}") as caught:
        _decode(path)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("late.mp4", "libx264", None),
        ("late.avi", "mpeg4", None),
        ("late.avi", "mpeg4", {"bf": "2"}),
        ("late.avi", "libx264", None),
    ],
)
def test_truncated_file_is_an_error(tmp_path, write_clip, name, codec, options, share):
    clip = write_clip(tmp_path / name, 60, codec=codec, options=options)
    whole = clip.read_bytes()
    clip.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MediaError):
        _decode(clip, {0})


def test_truncated_file_with_its_index_first_is_an_error(tmp_path, write_clip):
    clip = write_clip(tmp_path / "end.mp4", 60)
    early = tmp_path / "early.mp4"
    with (
        av.open(str(clip)) as source,
        av.open(str(early), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    whole = early.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    assert len(_decode_all(early)[1]) == 60
    early.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(MediaError, match="is truncated"):
        _decode(early)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_damaged_frames_are_an_error(tmp_path, write_clip, codec):
    clip = write_clip(tmp_path / "clip.mp4", 60, codec=codec, size=(256, 256))
    damaged = bytearray(clip.read_bytes())
    start = damaged.index(b"mdat") + 1000
    damaged[start : start + 400] = bytes(range(200)) * 2
    clip.write_bytes(damaged)
    with pytest.raises(MediaError, match=r"damaged|cannot be decoded"):
        _decode(clip, range(60))


# Not ru_maxrss, which a process takes over from the one that started it.
_MEASURE = """
import sys
from pathlib import Path
from tfrecords.frame_sampling import SamplingConfig, sample_frames
sample_frames(Path(sys.argv[1]), SamplingConfig(num_frames=8))
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def _peak_mb(clip):
    command = [sys.executable, "-c", _MEASURE, str(clip)]
    done = subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_memory_does_not_grow_with_the_length(tmp_path, write_clip):
    def peak_mb(num_frames):
        options = {"preset": "ultrafast"}
        clip = tmp_path / f"{num_frames}.mp4"
        return _peak_mb(write_clip(clip, num_frames, size=(256, 256), options=options))

    # 1,900 more frames of 256 x 256 x 3 bytes would take 356 MB.
    assert peak_mb(2000) - peak_mb(100) < 40


@pytest.mark.parametrize(
    ("codec", "more"), [("rawvideo", 200_000), ("libx264", 60_000)]
)
def test_memory_grows_by_a_few_bytes_a_frame(tmp_path, codec, more):
    # The fewest frames are too many for their packets to be kept already.
    few = _peak_mb(_write_many_frames(tmp_path / "few.mkv", 40_000, codec))
    many = _peak_mb(_write_many_frames(tmp_path / "many.mkv", 40_000 + more, codec))
    # 8 bytes a frame, 17 for H.264, and what FFmpeg keeps.
    assert many - few < 60 * more / 2**20 + 3


def test_an_unsupported_codec_is_an_error(tmp_path, write_clip):
    path = write_clip(tmp_path / "clip.mp4", 5)
    data = path.read_bytes()
    assert data.count(b"avc1") >= 1
    path.write_bytes(data.replace(b"avc1", b"bvc2"))
    with pytest.raises(MediaError, match="has an unsupported coding"):
        _decode(path)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_a_mutated_file_gives_frames_or_a_reason(tmp_path, write_clip, name):
    data = write_clip(tmp_path / name, 6).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / f"mutated{Path(name).suffix}"
    outcomes = set()
    for _ in range(60):
        mutated = np.frombuffer(data, np.uint8).copy()
        places = random.integers(0, len(data), random.integers(1, 12))
        mutated[places] = random.integers(0, 256, len(places))
        path.write_bytes(mutated.tobytes())
        try:
            _decode(path)
            outcomes.add("frames")
        except MediaError as error:
            outcomes.add("reason")
            assert "\n" not in str(error)
    assert outcomes == {"frames", "reason"}


# 128 x 64 pixels in two tiles, red and blue, as a phone keeps a large picture: two HEVC
# pictures of pillow-heif 1.8.1 beside a `grid` item written by hand.
_TILES = zlib.decompress(
    base64.b85decode(
        "c-muNV30{GsVvAy%}izhg51nBLl8SRGck>Uf$>moYDppk1Sn>t<P<^K3<a6VB@AeQuOPD|7tC"
        "S?Vu#F}{A5NT!v(}=1d9Vn#%DlUj)4irXJP^KAu1T5CUF3<Z)Rp*8r(EdASaaxqynfWqb%8w0"
        "Y#7rQxL2#y(lvU#FWV_N=<_rE|8L$n+}v@g6Ly7mswC$0HjxB79{5b=?b7p&Wy|;p$T9OavvD"
        "}{QdERfq|bn0jNj9fsu#t|9_AIW{?VI5R%))<d6uI)OKQIM3Y&d(8xONm8a&qJSHg~4v^3Z5W"
        "(S)1XR!N!g#P~gOUT#8j;N6f>fv*9iSLltN|(}msyYtixXh5F*PzVFo6hWMo>TrWTqsRfP=CD"
        "tlA|P!k5xuT+jJH*=&*h|KAsD|NpyleBr;Xn<oVS7qf%QDq5Dt|Npn9{C)i~X8ZqJ#OAUaeEk"
        "6cN4;kw"
    )
)
_RED, _BLUE = (0, 0, 255), (255, 0, 0)  # as OpenCV orders them


def _pixels(path):
    _, kept = decode_frames(path, lambda _: {0}, lambda picture: picture.pixels)
    return kept[0]


def _is_near(pixel, colour):
    return np.abs(pixel.astype(int) - colour).max() < 30


def test_a_picture_of_tiles_is_put_together(tmp_path):
    path = tmp_path / "slide.jpg"  # whatever it is called
    path.write_bytes(_TILES)
    pixels = _pixels(path)
    assert pixels.shape == (64, 128, 3)
    assert _is_near(pixels[5, 5], _RED)
    assert _is_near(pixels[5, 120], _BLUE)


def test_a_turned_picture_is_upright(tmp_path):
    picture = Image.new("RGB", (64, 32), (255, 0, 0))
    picture.paste((0, 0, 255), (32, 0, 64, 32))
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn clockwise: the left side comes to the top
    picture.save(tmp_path / "a.avif", exif=turned)
    pixels = _pixels(tmp_path / "a.avif")
    assert pixels.shape == (64, 32, 3)
    assert _is_near(pixels[5, 16], _RED)
    assert _is_near(pixels[60, 16], _BLUE)


@pytest.mark.parametrize("keep", [12, 40, 300, 500])
def test_a_truncated_image_is_an_error(tmp_path, keep):
    path = tmp_path / "a.heic"
    path.write_bytes(_TILES[:keep])
    with pytest.raises(MediaError, match=r"^a\.heic: cannot be decoded: \w+$"):
        _pixels(path)


def test_a_missing_image_is_an_error(tmp_path):
    with pytest.raises(MediaError, match=r"^a\.heic: cannot be read"):
        _pixels(tmp_path / "a.heic")


def test_films_and_other_pictures_are_left_to_ffmpeg(tmp_path, write_clip, draw_number):
    cv2.imwrite(str(tmp_path / "1.png"), draw_number(1))
    (tmp_path / "empty").touch()
    clip = write_clip(tmp_path / "clip.mp4", 2)
    assert not any(map(is_still, (clip, tmp_path / "1.png", tmp_path / "empty")))
