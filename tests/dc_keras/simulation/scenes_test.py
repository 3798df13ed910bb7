import numpy as np
import pytest

from dc_keras.simulation.scenes import SCENES


def _paint(paint, seed):
    picture = np.zeros((160, 90, 3), np.uint8)
    paint(picture, np.random.default_rng(seed))
    return picture


@pytest.mark.parametrize("paint", SCENES)
def test_scenes_fill_the_picture_and_vary(paint):
    first, second, again = (_paint(paint, seed) for seed in (0, 1, 0))
    assert (first.reshape(-1, 3).any(axis=1)).mean() > 0.9
    assert first.std() > 15
    assert np.abs(first.astype(float) - second).mean() > 10
    np.testing.assert_array_equal(first, again)


def test_no_size_is_too_small():
    for paint in SCENES:
        paint(np.zeros((20, 20, 3), np.uint8), np.random.default_rng(0))
