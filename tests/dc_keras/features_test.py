"""Features of videos from arrays, and their errors."""

import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.features import Features

_IDS = ["7", "8", "9"]
_VECTORS = np.ones((3, 4), np.float32)


def _ragged():
    rows = np.empty(3, object)
    rows[:] = [np.ones(4), np.ones(4), np.ones(5)]
    return rows


def test_features_show_themselves_in_one_line():
    features = Features.from_arrays(_IDS, frames={"A": _VECTORS}, captions=_VECTORS)
    assert repr(features) == (
        "<Features: 3 videos, frames A (1 × 4), captions of 4 numbers>"
    )
    features = Features.from_arrays(_IDS, frames={"A": np.ones((3, 2, 4))})
    assert repr(features) == "<Features: 3 videos, frames A (2 × 4), no captions>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": _VECTORS}, r"`frames` must be a dict .* Received: ndarray"),
        ({"frames": {"A": _VECTORS[0]}}, "must have 2 or 3 axes and one row for each"),
        ({"captions": np.ones((3, 2, 4))}, "must have 2 axes and one row for each"),
        ({"captions": ["a", "b", "c"]}, "`captions` must be an array of numbers"),
        ({"captions": [[1.0], [1.0, 2.0], [1.0]]}, "rows of equal length"),
        ({"frames": {"A": _ragged()}}, "np.stack.*Received: dtype=object"),
        ({}, "features need frames or captions"),
    ],
)
def test_wrong_arrays_are_refused_in_one_line(arguments, message):
    with pytest.raises(DataError, match=message) as refused:
        Features.from_arrays(_IDS, **arguments)
    assert "\n" not in str(refused.value)


def test_a_repeated_id_is_named():
    with pytest.raises(DataError, match=r"must not repeat an id\. Received: 8"):
        Features.from_arrays(["7", "8", "8"], captions=_VECTORS)


def test_features_of_no_directory_are_refused():
    with pytest.raises(DataError, match="at least one directory"):
        Features.load()


def test_ids_are_texts_or_bytes():
    features = Features.from_arrays(
        np.array([b"7", b"8"]), captions=np.ones((2, 3), np.float32)
    )
    assert features.video_ids == ("7", "8")
    with pytest.raises(DataError, match="`video_ids` must be a list of ids"):
        Features.from_arrays("78", captions=np.ones((2, 3)))
