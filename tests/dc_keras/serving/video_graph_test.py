from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders.registry import import_encoders
from dc_keras.encoders.vision import VisionSpec, build_vision_encoder
from dc_keras.errors import DataError
from dc_keras.serving.video_graph import Encoders, FrameReader
from tfrecords.frame_sampling import SamplingConfig, choose_positions
from tfrecords.timeline import Timeline

_SAMPLING = {"num_frames": 2, "image_size": 32, "fps": 0, "repeat": "nearest"}


def _choose(posts, num_frames, fps=0.0):
    reader = FrameReader(
        SimpleNamespace(embedding_dim=1),
        _SAMPLING | {"num_frames": num_frames, "fps": fps},
    )
    chosen, mask = reader.choose(tf.constant(posts))
    texts = ["".join(frame.decode() or "." for frame in row) for row in chosen.numpy()]
    return texts, ["".join("x" if m else "-" for m in row) for row in mask.numpy()]


@pytest.mark.parametrize(
    ("frames", "num_frames", "chosen", "mask"),
    [
        ("abcd", 4, "abcd", "xxxx"),
        # Slot i takes frame floor((i + ½) · n / num_frames).
        ("abcdefgh", 4, "bdfh", "xxxx"),
        ("abcde", 3, "ace", "xxx"),
        ("ab", 4, "aabb", "x-x-"),
        ("abc", 4, "abbc", "xx-x"),
        ("a", 3, "aaa", "x--"),
        ("", 3, "...", "---"),
    ],
)
def test_frames_are_spread_over_the_slots(frames, num_frames, chosen, mask):
    padded = [[*frames, ""], [""] * (len(frames) + 1)]
    texts, masks = _choose(padded, num_frames)
    assert (texts[0], masks[0]) == (chosen, mask)
    assert (texts[1], masks[1]) == ("." * num_frames, "-" * num_frames)


@pytest.mark.parametrize(
    ("frames", "chosen", "mask"),
    [("ab", "ab..", "xx--"), ("abcdef", "abcd", "xxxx"), ("", "....", "----")],
)
def test_frames_at_a_rate_fill_the_first_slots(frames, chosen, mask):
    texts, masks = _choose([[*frames, ""]], 4, fps=2.0)
    assert (texts, masks) == ([chosen], [mask])


def test_the_records_of_a_slideshow_hold_the_same_frames():
    for count in range(1, 12):
        names = [chr(97 + n) for n in range(count)]
        texts, _ = _choose([names], 5)
        timeline = Timeline(np.arange(count), count, Fraction(1))
        positions = choose_positions(timeline, SamplingConfig(num_frames=5))
        assert texts[0] == "".join(names[p] for p in positions)


def test_features_of_openvino_are_served_by_the_same_network_of_keras():
    import_encoders(["tiny_encoders"])
    spec = VisionSpec("tiny_frames", weights="random", image_size=32)
    vision = build_vision_encoder(spec)
    settings = vision.settings() | {
        "runtime": "openvino",
        "network_fingerprint": vision.fingerprint,
        "fingerprint": "that of OpenVINO",
    }
    encoders = Encoders()
    reader = encoders._frame_reader(settings, _SAMPLING)
    assert encoders._frame_reader(vision.settings(), _SAMPLING) is reader
    with pytest.raises(DataError, match="has other weights than the one that made"):
        encoders._frame_reader(
            settings | {"network_fingerprint": "of other weights"}, _SAMPLING
        )


def test_features_of_int8_are_not_served():
    settings = {"runtime": "openvino_int8", "fingerprint": "aa"}
    with pytest.raises(
        DataError, match=r"train again\. Received: runtime=openvino_int8"
    ):
        Encoders()._frame_reader(settings, _SAMPLING)
