import cv2
import numpy as np
import tensorflow as tf

from tfrecords.schema import (
    UNKNOWN_TIME,
    FeatureRecord,
    FrameRecord,
    build_feature_record,
    build_frame_record,
)
from tfrecords.tensors import (
    decode_images,
    parse_feature_tensors,
    parse_frame_tensors,
    without_autotune,
)


def _through_tf_data(serialized, parse):
    return list(tf.data.Dataset.from_tensor_slices(serialized).map(parse))


def test_frame_tensors_are_equal_eagerly_and_inside_tf_data(draw_number):
    jpeg = cv2.imencode(".jpg", draw_number(5))[1].tobytes()
    full = FrameRecord(
        "1", "u", "ö", ("a", "b"), 9, 8, 7, 128, 128, (0, 3), (jpeg, jpeg)
    )
    empty = FrameRecord("2", "u", "", (), None, 0, 0, 128, 128, (), ())
    serialized = [build_frame_record(record) for record in (full, empty)]
    for parsed in (
        [parse_frame_tensors(record) for record in serialized],
        _through_tf_data(serialized, parse_frame_tensors),
    ):
        assert parsed[0]["caption/string"].numpy().decode() == "ö"
        assert parsed[0]["clip/label/text"].numpy().tolist() == [b"a", b"b"]
        assert parsed[0]["image/timestamp"].numpy().tolist() == [0, 3]
        assert parsed[0]["video/create_time"] == 9
        assert parsed[1]["video/create_time"] == UNKNOWN_TIME
        assert parsed[1]["image/encoded"].shape == (0,)
        images = decode_images(parsed[0]["image/encoded"], 128)
        assert images.shape == (2, 128, 128, 3)
        assert images.dtype == tf.uint8
        # Both readers use libjpeg's exact transform.
        expected = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(images[0].numpy()[..., ::-1].astype(int) - expected).max() <= 2
        assert decode_images(parsed[1]["image/encoded"], 128).shape == (0, 128, 128, 3)


def test_feature_tensors_are_equal_eagerly_and_inside_tf_data():
    frames = np.arange(6, dtype=np.float16).reshape(2, 3)
    mask = np.array([True, False])
    caption = np.array([0.5, 2.0, 3.0], np.float32)
    records = [
        FeatureRecord("1", "u", frames, mask, caption),
        FeatureRecord("2", "u", None, None, caption),
        FeatureRecord("3", "u", frames, mask, None),
    ]
    serialized = [build_feature_record(record) for record in records]
    for parsed in (
        [parse_feature_tensors(record) for record in serialized],
        _through_tf_data(serialized, parse_feature_tensors),
    ):
        np.testing.assert_array_equal(parsed[0]["frames/embedding"], frames)
        assert parsed[0]["frames/embedding"].dtype == tf.float16
        assert parsed[0]["frames/mask"].numpy().tolist() == [True, False]
        np.testing.assert_array_equal(parsed[0]["caption/embedding"], caption)
        assert parsed[1]["frames/embedding"].shape == (0, 0)
        assert parsed[1]["frames/mask"].shape == (0,)
        assert parsed[2]["caption/embedding"].shape == (0,)


def test_a_dataset_stays_what_it_is_but_is_not_tuned():
    dataset = without_autotune(tf.data.Dataset.range(5).batch(2).prefetch(2))
    assert [b.tolist() for b in dataset.as_numpy_iterator()] == [[0, 1], [2, 3], [4]]
    assert not dataset.options().autotune.enabled
    # Nor what is made of it.
    assert not dataset.map(lambda x: x).options().autotune.enabled
