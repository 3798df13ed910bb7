import cv2
import numpy as np
import pytest

from dc_keras.simulation.clips import SHAPES, draw_frames, write_video


def _draw(look, shape="disc", num_frames=6):
    return draw_frames(
        np.array(look),
        shape,
        num_frames=num_frames,
        width=72,
        height=128,
        rng=np.random.default_rng(0),
    )


def _read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return frames
        frames.append(frame)


def test_look_sets_the_decoded_colour(tmp_path):
    path = tmp_path / "1.mp4"
    write_video(path, _draw([1.0, 0.0, -1.0, -2.0]), fps=12)
    frames = _read(path)
    assert [frame.shape for frame in frames] == [(128, 72, 3)] * 6
    # The mean of the corners is the background, 128 + 45 look, in BGR order, within
    # the error of the codec.
    corners = np.concatenate([frames[0][:4, :4], frames[0][-4:, -4:]]).reshape(-1, 3)
    assert corners.mean(axis=0) == pytest.approx([83, 128, 173], abs=8)


def test_fourth_component_sets_the_size_of_the_shape():
    # On a dark ground the shape is light.
    small, large = (next(_draw([-1.0, -1.0, -1.0, z])) for z in (-1.0, 1.0))
    assert (large > 200).sum() > 1.5 * (small > 200).sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_visible_and_moves(shape):
    frames = list(_draw([-1.0, -1.0, -1.0, 0.0], shape))
    assert all((frame > 200).mean() > 0.02 for frame in frames)
    assert not np.array_equal(frames[0], frames[-1])


def test_unwritable_path_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot write an mp4 file.*nowhere"):
        write_video(tmp_path / "nowhere" / "1.mp4", _draw([0.0] * 4), fps=12)
