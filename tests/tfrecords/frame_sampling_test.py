from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.errors import DataError
from tfrecords.decoding import Picture
from tfrecords.errors import MediaError
from tfrecords.frame_sampling import (
    SamplingConfig,
    choose_positions,
    sample_frames,
    sample_slideshow,
)
from tfrecords.timeline import Timeline


def _numbers(sampled, read_number):
    return [read_number(jpeg) for jpeg in sampled.jpegs]


def test_frames_are_those_on_screen_at_the_bin_centres(
    tmp_path, write_clip, read_number
):
    clip = write_clip(tmp_path / "clip.mp4", 20, fps=10)
    sampled = sample_frames(clip, SamplingConfig(num_frames=4))
    # 2 s in four bins: centres .25, .75, 1.25, 1.75 s; at 10 a second these show the
    # frames 2, 7, 12, 17, which begin at .2, .7, 1.2, 1.7 s.
    assert _numbers(sampled, read_number) == [2, 7, 12, 17]
    assert list(sampled.timestamps_us) == [200_000, 700_000, 1_200_000, 1_700_000]
    assert sampled.duration_us == 2_000_000
    assert sampled.source_num_frames == 20
    pixels = cv2.imdecode(np.frombuffer(sampled.jpegs[0], np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape == (224, 224, 3)


def test_variable_frame_rate_counts_time_not_frames(tmp_path, write_clip, read_number):
    starts = [0, 100, 200, 300, 400, 500, 600, 2600]
    clip = write_clip(tmp_path / "vfr.mp4", 8, starts_ms=starts)
    sampled = sample_frames(clip, SamplingConfig(num_frames=2))
    # The end is the last frame's own length after 2.6 s (unknown here, at most 2 s): the
    # centres of two bins lie between .6 and 1.2 s and between 1.9 and 3.5 s.
    first, second = _numbers(sampled, read_number)
    assert first == 6
    assert second in (6, 7)
    end = sampled.duration_us
    assert second == (7 if end * 3 // 4 >= 2_600_000 else 6)


def test_fewer_frames_than_asked_are_repeated_with_their_time(
    tmp_path, write_clip, read_number
):
    clip = write_clip(tmp_path / "short.mp4", 3, fps=10)
    sampled = sample_frames(clip, SamplingConfig(num_frames=6))
    assert _numbers(sampled, read_number) == [0, 0, 1, 1, 2, 2]
    expected = [0, 0, 100_000, 100_000, 200_000, 200_000]
    assert list(sampled.timestamps_us) == expected


def test_one_frame_clip_gives_that_frame(tmp_path, write_clip, read_number):
    clip = write_clip(tmp_path / "one.mp4", 1, fps=10)
    sampled = sample_frames(clip, SamplingConfig(num_frames=5))
    assert sampled.source_num_frames == 1
    assert _numbers(sampled, read_number) == [0] * 5
    assert list(sampled.timestamps_us) == [0] * 5
    assert sampled.duration_us == 100_000


def test_fixed_rate_takes_frames_from_the_start(tmp_path, write_clip, read_number):
    clip = write_clip(tmp_path / "clip.mp4", 20, fps=10)
    many = sample_frames(clip, SamplingConfig(num_frames=50, fps=2))
    # 2 s at two a second: 0, .5, 1, 1.5 s.
    assert _numbers(many, read_number) == [0, 5, 10, 15]
    few = sample_frames(clip, SamplingConfig(num_frames=3, fps=2))
    assert _numbers(few, read_number) == [0, 5, 10]


def test_fixed_rate_of_the_clip_takes_every_frame_of_an_ntsc_rate():
    starts = np.arange(30, dtype=np.int64) * 1001
    timeline = Timeline(starts, 30 * 1001, Fraction(1, 30000))
    config = SamplingConfig(num_frames=30, fps=30000 / 1001)
    assert choose_positions(timeline, config).tolist() == list(range(30))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("with_audio", [False, True])
def test_sound_changes_nothing(tmp_path, write_clip, read_number, codec, with_audio):
    clip = write_clip(tmp_path / "a.mp4", 12, codec=codec, with_audio=with_audio)
    sampled = sample_frames(clip, SamplingConfig(num_frames=4))
    # .48 s at 25 a second: centres .06, .18, .30, .42 s; frames 1.5, 4.5, 7.5, 10.5.
    assert _numbers(sampled, read_number) == [1, 4, 7, 10]


def test_content_decides_not_the_extension(tmp_path, write_clip, read_number):
    clip = write_clip(tmp_path / "clip.txt", 4, container="matroska")
    sampled = sample_frames(clip, SamplingConfig(num_frames=4))
    assert _numbers(sampled, read_number) == [0, 1, 2, 3]


def test_rotation_metadata_turns_the_frame_upright(tmp_path, write_clip):
    upright = write_clip(tmp_path / "0.mp4", 2)
    turned = write_clip(tmp_path / "90.mp4", 2, rotation=90)
    config = SamplingConfig(num_frames=2, image_size=128)
    plain = sample_frames(upright, config).jpegs[1]
    rotated = sample_frames(turned, config).jpegs[1]

    def pixels(jpeg):
        return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) > 128

    # Frame 1 has its lit block in the corner at the top left; a quarter turn counter-
    # clockwise brings it to the bottom left.
    assert pixels(plain)[16, 16]
    assert pixels(rotated)[112, 16]
    agree = np.mean(np.rot90(pixels(plain)) == pixels(rotated))
    assert agree > 0.99


def test_crop_keeps_the_centre_square_and_stretch_keeps_everything(tmp_path):
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), image)

    def bright(resize):
        config = SamplingConfig(num_frames=1, image_size=90, resize=resize)
        jpeg = np.frombuffer(sample_frames(path, config).jpegs[0], np.uint8)
        return np.mean(cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE) > 128)

    assert bright("crop") == 1.0
    assert bright("stretch") == pytest.approx(1 / 3, abs=0.02)


def test_stored_colours_are_rgb(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :, 2] = 255  # red, as OpenCV orders it
    cv2.imwrite(str(tmp_path / "red.png"), image)
    config = SamplingConfig(num_frames=1, image_size=64)
    jpeg = sample_frames(tmp_path / "red.png", config).jpegs[0]
    shown = cv2.cvtColor(
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )
    assert shown[32, 32, 0] > 240
    assert shown[32, 32, 2] < 15


def test_slides_have_equal_shares_and_whole_seconds(tmp_path, draw_number, read_number):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"slide_%d_{number}.jpeg")
        cv2.imwrite(str(paths[-1]), draw_number(number, (200, 120)))
    sampled = sample_slideshow(paths, SamplingConfig(num_frames=6))
    assert _numbers(sampled, read_number) == [0, 0, 1, 1, 2, 2]
    assert list(sampled.timestamps_us) == [0, 0, 10**6, 10**6, 2 * 10**6, 2 * 10**6]
    assert sampled.duration_us == 3 * 10**6
    assert sampled.source_num_frames == 3
    few = sample_slideshow(paths, SamplingConfig(num_frames=1))
    # One bin over three shares: its centre is in the second.
    assert _numbers(few, read_number) == [1]


def test_a_slide_that_cannot_be_read_costs_itself(tmp_path, draw_number, read_number):
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), draw_number(number))
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    sampled = sample_slideshow(paths, SamplingConfig(num_frames=6))
    # As if it had never been there: slides 0, 2 and 3, two frames each.
    assert _numbers(sampled, read_number) == [0, 0, 2, 2, 3, 3]
    assert sampled.source_num_frames == 3
    assert sampled.duration_us == 3 * 10**6
    [bad] = sampled.bad_slides
    assert (bad.name, bad.reason[:17]) == ("1.png", "cannot be decoded")


def test_a_slide_is_taken_in_place_of_one_that_cannot_be_read(
    tmp_path, draw_number, read_number
):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), draw_number(number))
    paths[1].write_bytes(b"")
    # Of three slides the one in the middle is taken, then of two the second.
    sampled = sample_slideshow(paths, SamplingConfig(num_frames=1))
    assert _numbers(sampled, read_number) == [2]


def test_a_slideshow_without_an_image_that_can_be_read_is_an_error(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(MediaError, match=r"^a\.png: cannot be decoded"):
        sample_slideshow([tmp_path / "a.png", tmp_path / "b.png"], SamplingConfig())
    with pytest.raises(MediaError, match="contains no image"):
        sample_slideshow([], SamplingConfig())


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("num_frames", 0, "from 1 to 100000"),
        ("image_size", 0, "1 to 65500 pixels"),
        ("fps", -1.0, "0, or from 0.001 to 1000 frames a second"),
        ("fps", float("nan"), "0, or from 0.001 to 1000 frames a second"),
        ("resize", "squash", r"one of \('stretch', 'crop'\)"),
        ("slideshows", "skip", r"one of \('frames', 'drop'\)"),
        ("jpeg_quality", 101, "1 to 100"),
    ],
)
def test_values_outside_their_range_are_refused(name, value, rule):
    with pytest.raises(DataError, match=f"`{name}` must be {rule}. Received: {name}="):
        SamplingConfig(**{name: value})


@given(
    gaps=st.lists(st.integers(1, 10_000), min_size=1, max_size=60),
    last=st.integers(1, 10_000),
    num_frames=st.integers(1, 80),
)
@settings(deadline=None)  # a busy machine is no fault
def test_chosen_frame_is_the_last_that_began_by_the_bin_centre(gaps, last, num_frames):
    starts = np.cumsum([0, *gaps[1:]]).astype(np.int64)
    timeline = Timeline(starts, int(starts[-1]) + last, Fraction(1, 90000))
    chosen = choose_positions(timeline, SamplingConfig(num_frames=num_frames))
    for i, position in enumerate(chosen.tolist()):
        centre = Fraction(2 * i + 1, 2 * num_frames) * timeline.duration
        assert starts[position] <= centre
        assert position + 1 == len(starts) or starts[position + 1] > centre


def _clips():
    shared = Path(__file__).parents[3] / "shared" / "data" / "clips"
    return sorted(p for p in shared.rglob("*") if p.suffix in (".mp4", ".avi"))


@pytest.mark.skipif(not _clips(), reason="the shared test clips are not here")
@pytest.mark.parametrize("clip", _clips(), ids=lambda clip: clip.name)
def test_real_clips_give_the_frames_of_a_naive_full_decode(clip):
    size = 48
    with av.open(str(clip), metadata_errors="replace") as media:
        decoded = [
            (
                frame.pts,
                frame.duration,
                Picture(frame, 0, Fraction(1)).shrink(size, size),
            )
            for frame in media.decode(video=0)
        ]
        tick = media.streams.video[0].time_base
    times = sorted(pts - min(d[0] for d in decoded) for pts, _, _ in decoded)
    last_length = max(decoded, key=lambda d: d[0])[1]
    end = times[-1] + last_length
    sampled = sample_frames(clip, SamplingConfig(num_frames=50, image_size=size))
    assert sampled.source_num_frames == len(decoded)
    assert sampled.duration_us == round(end * tick * 10**6)
    assert len(sampled.jpegs) == 50
    for i in range(50):
        shown = max(k for k, t in enumerate(times) if t <= (i + 0.5) / 50 * end)
        assert sampled.timestamps_us[i] == round(times[shown] * tick * 10**6)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        _, expected = cv2.imencode(".jpg", decoded[shown][2], quality)
        assert sampled.jpegs[i] == expected.tobytes(), f"frame {i}"


@pytest.mark.parametrize("size", [48, 224])
def test_a_small_frame_is_the_mean_of_the_pixels_that_it_covers(size):
    draw = np.random.default_rng(2)
    # Colours change slowly, for they are stored at half the resolution.
    coarse = draw.integers(0, 256, (9, 16, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (576, 1024), interpolation=cv2.INTER_CUBIC)
    grain = draw.integers(-20, 21, (1024, 576, 1))
    pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, "bgr24").reformat(format="yuv420p")
    picture = Picture(frame, 0, Fraction(1))
    small = picture.shrink(size, size)
    assert small.shape == (size, size, 3)
    mean = cv2.resize(picture.pixels, (size, size), interpolation=cv2.INTER_AREA)

    def store(bgr):
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
        return cv2.imdecode(encoded, cv2.IMREAD_COLOR).astype(int)

    # As stored, for JPEG keeps colours at half the resolution.
    difference = np.abs(store(small) - store(mean))
    assert difference.mean() < 2
    assert difference.max() <= 12
