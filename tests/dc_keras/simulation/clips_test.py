import cv2
import numpy as np
import pytest

from dc_keras.simulation.clips import draw_frames, write_video


def _draw(look=(0.0, 0.0, 0.0, 0.0), seed=0, num_frames=6):
    return draw_frames(
        np.array(look),
        num_frames=num_frames,
        width=72,
        height=128,
        rng=np.random.default_rng(seed),
    )


def _read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return frames
        frames.append(frame)


def test_decoded_frames_are_those_drawn(tmp_path):
    path = tmp_path / "1.mp4"
    drawn = list(_draw())
    write_video(path, iter(drawn), fps=12)
    frames = _read(path)
    assert [frame.shape for frame in frames] == [(128, 72, 3)] * 6
    # Within the error of the codec.
    assert np.abs(np.array(frames, float) - drawn).mean() < 12


def test_a_strong_taste_shows_its_scene():
    # The night of the city is dark, and the beach is light: both ends of a component.
    beach, city = (
        np.mean([list(_draw([end, 0.0, 0.0, 0.0], seed)) for seed in range(5)])
        for end in (4.0, -4.0)
    )
    assert beach > city + 40


def test_shots_move_and_differ():
    first, second, third, *_, last = _draw()
    assert not np.array_equal(first, second)
    cut, pan = (np.abs(second - other.astype(float)).mean() for other in (third, first))
    assert cut > pan
    assert not np.array_equal(second, last)


@pytest.mark.parametrize("num_frames", [1, 2, 7])
def test_videos_have_the_requested_length(num_frames):
    assert len(list(_draw(num_frames=num_frames))) == num_frames


def test_unwritable_path_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot write an mp4 file.*nowhere"):
        write_video(tmp_path / "nowhere" / "1.mp4", _draw(), fps=12)
