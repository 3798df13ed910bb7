import json
from dataclasses import dataclass

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from dc_keras.encoders.extraction import (
    CaptionEmbedder,
    ExtractionConfig,
    FeatureExtractor,
    FrameEmbedder,
)
from dc_keras.encoders.frame_batches import decode_frame
from dc_keras.encoders.text import build_text_encoder
from dc_keras.encoders.vision import VisionEncoder, VisionSpec, build_vision_encoder
from dc_keras.errors import DataError

_SIZE = 32


@dataclass(frozen=True)
class _Post:
    video_id: str = "1"
    user_id: str = "u"
    caption: str = ""
    jpegs: tuple[bytes, ...] = ()


def _encode(pixels):
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def _grey(level, size=_SIZE):
    """Returns a JPEG of one grey level, which JPEG stores exactly."""
    return _encode(np.full((size, size, 3), level, np.uint8))


def _post(levels, video_id="1", caption=""):
    return _Post(video_id, "u", caption, tuple(_grey(level) for level in levels))


class _Counter(keras.layers.Layer):
    """Counts frames and batches."""

    def build(self, _):
        self.counts = self.add_weight(
            shape=(2,), dtype="int32", initializer="zeros", trainable=False
        )

    def call(self, frames):
        self.counts.assign_add([keras.ops.shape(frames)[0], 1])
        return frames


def _make_vision(scale=1.0):
    """An encoder of grey frames: the level, and minus twice the level."""
    frames = keras.Input((None, None, 3), dtype="uint8")
    pixels = keras.ops.cast(_Counter(name="counter")(frames), "float32")
    level = keras.layers.Dropout(0.5)(keras.ops.mean(pixels, axis=(1, 2, 3)))
    embedding = keras.ops.stack([scale * level, -2.0 * level], axis=1)
    spec = VisionSpec("VGG16", weights="random", image_size=_SIZE)
    return VisionEncoder(spec, keras.Model(frames, embedding), 2, "of a test")


@pytest.fixture
def vision():
    return _make_vision()


@pytest.fixture(scope="module")
def text(table_spec):
    return build_text_encoder(table_spec)


def _extract(posts, vision=None, text=None, *, batch_size=3, **changes):
    config = ExtractionConfig(4, _SIZE, batch_size, **changes)
    return list(FeatureExtractor(vision, text, config).extract(posts))


@pytest.mark.parametrize(
    ("levels", "repeat", "rows", "mask"),
    [
        ([10, 20, 30, 40], "nearest", [10, 20, 30, 40], [1, 1, 1, 1]),
        ([10, 20], "nearest", [10, 20, 0, 0], [1, 1, 0, 0]),
        ([10, 10, 20, 20], "nearest", [10, 10, 20, 20], [1, 0, 1, 0]),
        ([10, 10, 20, 20], "zero", [10, 0, 20, 0], [1, 0, 1, 0]),
        ([10, 10, 10], "nearest", [10, 10, 10, 0], [1, 0, 0, 0]),
        ([10, 10, 10], "zero", [10, 0, 0, 0], [1, 0, 0, 0]),
        # What comes back after another frame is a frame of its own.
        ([10, 20, 10, 10], "nearest", [10, 20, 10, 10], [1, 1, 1, 0]),
        ([], "nearest", [0, 0, 0, 0], [0, 0, 0, 0]),
        ([], "zero", [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
)
def test_repeats_and_padding_are_masked(vision, levels, repeat, rows, mask):
    (features,) = _extract([_post(levels)], vision, repeat=repeat)
    np.testing.assert_array_equal(features.frames, [[row, -2 * row] for row in rows])
    np.testing.assert_array_equal(features.frame_mask, np.array(mask, bool))
    assert (features.frames.dtype, features.frame_mask.dtype) == (np.float16, bool)
    assert features.caption is None


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50])
def test_every_frame_goes_to_its_post_whatever_the_batches(vision, batch_size):
    counts = [3, 0, 1, 4, 2, 0, 4, 1] * 4
    levels = iter(range(1, 256))
    posts = [
        _post([next(levels) for _ in range(count)], str(i))
        for i, count in enumerate(counts)
    ]
    # A chunk of 16 batches ends inside for all sizes but 50.
    results = _extract(posts, vision, batch_size=batch_size)
    assert [found.video_id for found in results] == [post.video_id for post in posts]
    first = 1
    for count, features in zip(counts, results, strict=True):
        expected = [*range(first, first + count), *[0] * (4 - count)]
        assert features.frames[:, 0].tolist() == expected
        assert features.frame_mask.tolist() == [level > 0 for level in expected]
        first += count


def test_batches_are_filled_across_posts_and_repeats_left_out(vision):
    posts = [_post([1, 1, 1, 1]), _post([1, 2, 2]), _post([]), _post([3, 4, 5, 6])]
    _extract(posts, vision, batch_size=3)
    # 1 + 2 + 0 + 4 frames of their own: two batches of three and one of one.
    assert vision.model.get_layer("counter").counts.numpy().tolist() == [7, 3]


@pytest.mark.parametrize(
    # A chunk ends at 16 frames of batches of one, hence after the sixth post of three;
    # without frames after 2048 posts.
    ("levels", "num_taken"),
    [([1, 2, 3], 6), ([], 2048)],
)
def test_posts_are_taken_a_chunk_at_a_time(vision, levels, num_taken):
    taken = []

    def posts():
        for i in range(5000):
            taken.append(i)
            yield post

    post = _post(levels)
    extractor = FeatureExtractor(vision, None, ExtractionConfig(4, _SIZE, 1))
    results = extractor.extract(posts())
    for num_chunks in (1, 2):
        next(results)
        assert len(taken) == num_chunks * num_taken
        for _ in range(num_taken - 1):
            next(results)


def test_no_posts_give_no_features(vision, text):
    assert _extract([], vision, text) == []
    config = ExtractionConfig(4, _SIZE)
    assert FrameEmbedder(vision, config).embed([]) == []
    assert CaptionEmbedder(text, 3).embed([]).shape == (0, 3)


def test_a_real_network_embeds_a_frame_alike_in_every_batch():
    encoder = build_vision_encoder(
        VisionSpec("VGG16", weights="random", image_size=_SIZE)
    )
    rng = np.random.default_rng(0)
    posts = [
        _Post(str(i), "u", "", tuple(_encode(frame) for frame in frames))
        for i, frames in enumerate(rng.integers(0, 256, (3, 4, 32, 32, 3), np.uint8))
    ]
    alone = [
        encoder.model(decode_frame(jpeg)[None])[0]
        for post in posts
        for jpeg in post.jpegs
    ]
    for batch_size in (1, 5):
        results = _extract(posts, encoder, batch_size=batch_size)
        frames = np.concatenate([features.frames for features in results])
        np.testing.assert_allclose(frames, alone, rtol=2e-3, atol=1e-4)


_CAPTIONS = ["cats dance", "", "dance " * 30, "a", "cat", "my cats", "dance #fun", "b"]


@pytest.mark.parametrize("batch_size", [3, 100])
def test_captions_keep_their_order_and_do_not_touch_each_other(text, batch_size):
    embeddings = CaptionEmbedder(text, batch_size).embed(_CAPTIONS)
    assert embeddings.dtype == np.float32
    alone = [text.model(tf.constant([caption]))[0] for caption in _CAPTIONS]
    np.testing.assert_allclose(embeddings, alone, atol=1e-5)


def test_vision_and_text_go_together(vision, text):
    posts = [_post([1], "1", "cat"), _post([], "2", "dance"), _post([2, 3], "3")]
    together = _extract(posts, vision, text)
    frames, captions = _extract(posts, vision), _extract(posts, None, text)
    assert [post.video_id for post in together] == ["1", "2", "3"]
    for both, one, other in zip(together, frames, captions, strict=True):
        np.testing.assert_array_equal(both.frames, one.frames)
        np.testing.assert_array_equal(both.frame_mask, one.frame_mask)
        np.testing.assert_allclose(both.caption, other.caption, atol=1e-6)
        assert (one.caption, other.frames, other.frame_mask) == (None, None, None)


def test_settings_contain_what_affects_the_features(vision, text):
    def settings(vision, text, **changes):
        config = ExtractionConfig(**{"num_frames": 4, "frame_size": _SIZE, **changes})
        return FeatureExtractor(vision, text, config).settings()

    both = settings(vision, text)
    assert both == {
        "vision": vision.settings(),
        "text": text.settings(),
        "num_frames": 4,
        "repeat": "nearest",
    }
    assert json.loads(json.dumps(both)) == both
    assert settings(vision, None)["text"] is None
    assert settings(None, text)["vision"] is None
    assert settings(vision, text, repeat="zero") != both
    assert settings(vision, text, num_frames=5) != both
    assert settings(vision, text, batch_size=1) == both


def test_frames_are_kept_up_to_the_end_of_float16():
    # 254 × 257 = 65278, and float16 keeps every 32nd number there.
    (features,) = _extract([_post([254])], _make_vision(scale=257.0))
    assert features.frames[0, 0] == 65280


@pytest.mark.parametrize(
    ("scale", "magnitude"), [(257.0, "65535"), (-257.0, "65535"), (np.nan, "nan")]
)
def test_embeddings_that_float16_cannot_hold_are_refused(scale, magnitude):
    posts = [_post([1], "fine") if np.isfinite(scale) else _Post("fine")]
    posts.append(_post([0, 255], "culprit"))
    message = rf"±65504.*largest magnitude {magnitude} in video_id='culprit'"
    with pytest.raises(DataError, match=message):
        _extract(posts, _make_vision(scale))


def test_more_frames_than_allowed_are_refused(vision):
    posts = [_post([1, 2, 3, 4], "fine"), _post([1, 2, 3, 4, 4], "long")]
    message = r"at most 4 frames\. Received: 5 frames in video_id='long'"
    with pytest.raises(DataError, match=message):
        _extract(posts, vision)


@pytest.mark.parametrize(
    ("jpeg", "reason"),
    [
        (_grey(9, 31), r"Shape of tensor .*\[31,31,3\]"),
        (_grey(9, 64), r"Shape of tensor .*\[64,64,3\]"),
        (_grey(9)[:300], "jpeg::Uncompress failed"),
        (b"no JPEG", "Unknown image file format"),
        (b"", "Input is empty"),
    ],
)
def test_invalid_frames_are_refused(vision, jpeg, reason):
    message = rf"a JPEG of 32×32 px; find the damaged .* Received: {reason}"
    with pytest.raises(DataError, match=message) as caught:
        _extract([_post([1]), _Post("bad", "u", "", (jpeg,))], vision)
    assert str(caught.value).isprintable()


def test_an_encoder_is_needed():
    with pytest.raises(
        DataError, match=r"at least one encoder.*vision=none, text=none"
    ):
        FeatureExtractor(None, None, ExtractionConfig(4, _SIZE))
