import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.errors import RecordError
from tfrecords.schema import (
    FeatureRecord,
    FrameRecord,
    build_feature_record,
    build_frame_record,
    parse_feature_record,
    parse_frame_record,
)

_FRAMES = FrameRecord(
    video_id="7000000000000000001",
    user_id="u1",
    caption="Tanz mit! 💃 #karenchallenge",
    hashtags=("karenchallenge",),
    create_time=1_600_000_000,
    duration_us=2_000_000,
    source_num_frames=60,
    height=2,
    width=2,
    timestamps_us=(0, 0, 500_000),
    jpegs=(b"\xff\xd8a", b"\xff\xd8a", b"\xff\xd8b"),
)
_FEATURES = FeatureRecord(
    video_id="7000000000000000001",
    user_id="u1",
    frames=np.arange(6, dtype=np.float16).reshape(2, 3),
    frame_mask=np.array([True, False]),
    caption=np.array([0.5, -1.25], dtype=np.float32),
)


def _parse_frames(serialized):
    return parse_frame_record(serialized, shard="s", index=4)


def _parse_features(serialized):
    return parse_feature_record(serialized, shard="s", index=4)


_texts = st.text(max_size=8)


@settings(deadline=None)
@given(
    st.builds(
        FrameRecord,
        video_id=_texts,
        user_id=_texts,
        caption=_texts,
        hashtags=st.lists(_texts, max_size=3).map(tuple),
        create_time=st.none() | st.integers(0, 2**62),
        duration_us=st.integers(0, 2**62),
        source_num_frames=st.integers(0, 2**40),
        height=st.integers(1, 9),
        width=st.integers(1, 9),
        timestamps_us=st.just((0, 5)),
        jpegs=st.tuples(st.binary(max_size=4), st.binary(max_size=4)),
    )
)
def test_frame_record_comes_back(record):
    serialized = build_frame_record(record)
    assert _parse_frames(serialized) == record
    assert build_frame_record(_parse_frames(serialized)) == serialized


def test_post_without_media_comes_back_with_no_frame():
    record = FrameRecord("1", "u", "", (), None, 0, 0, 224, 224, (), ())
    assert _parse_frames(build_frame_record(record)) == record
    assert record.frame_mask.tolist() == []


def test_mask_is_false_for_a_repeated_timestamp():
    assert _FRAMES.frame_mask.tolist() == [True, False, True]
    assert _FRAMES.frame_mask.dtype == bool


def test_key_names_are_those_that_other_readers_know():
    example = tf.train.SequenceExample.FromString(build_frame_record(_FRAMES))
    assert sorted(example.context.feature) == [
        "caption/string",
        "clip/label/text",
        "image/colorspace",
        "image/format",
        "image/height",
        "image/width",
        "schema/version",
        "user/id",
        "video/create_time",
        "video/duration_us",
        "video/id",
        "video/source_num_frames",
    ]
    lists = example.feature_lists.feature_list
    assert sorted(lists) == ["image/encoded", "image/timestamp"]
    example = tf.train.Example.FromString(build_feature_record(_FEATURES))
    assert sorted(example.features.feature) == [
        "caption/embedding",
        "frames/embedding",
        "frames/mask",
        "frames/shape",
        "schema/version",
        "user/id",
        "video/id",
    ]
    # 1.0 is 0x3c00 in half precision, little-endian 00 3c.
    data = example.features.feature["frames/embedding"].bytes_list.value[0]
    assert data[2:4] == b"\x00\x3c"


def test_feature_record_comes_back():
    parsed = _parse_features(build_feature_record(_FEATURES))
    np.testing.assert_array_equal(parsed.frames, _FEATURES.frames)
    assert parsed.frames.dtype == np.float16
    assert parsed.frame_mask.tolist() == [True, False]
    np.testing.assert_array_equal(parsed.caption, _FEATURES.caption)
    assert parsed.caption.dtype == np.float32


@pytest.mark.parametrize("lacks", ["vision", "text"])
def test_features_of_one_kind_only_come_back(lacks):
    vision = None if lacks == "vision" else _FEATURES.frames
    mask = None if lacks == "vision" else _FEATURES.frame_mask
    caption = None if lacks == "text" else _FEATURES.caption
    record = FeatureRecord("1", "u", vision, mask, caption)
    parsed = _parse_features(build_feature_record(record))
    assert (parsed.frames is None) == (lacks == "vision")
    assert (parsed.frame_mask is None) == (lacks == "vision")
    assert (parsed.caption is None) == (lacks == "text")


def test_builders_refuse_what_does_not_fit_together():
    record = FrameRecord("1", "u", "", (), None, 9, 1, 2, 2, (0, 1), (b"x",))
    with pytest.raises(ValueError, match=r"the length of `jpegs` \(1\)"):
        build_frame_record(record)
    half = FeatureRecord("1", "u", _FEATURES.frames, None, None)
    with pytest.raises(
        ValueError, match="`frames` and `frame_mask` must be given together"
    ):
        build_feature_record(half)
    long = FeatureRecord("1", "u", _FEATURES.frames, np.ones(3, bool), None)
    with pytest.raises(
        ValueError, match=r"Received: frame_mask=\(3,\), frames=\(2, 3\)"
    ):
        build_feature_record(long)


def _change_frames(change):
    example = tf.train.SequenceExample.FromString(build_frame_record(_FRAMES))
    change(example)
    return example.SerializeToString()


def _change_features(change):
    example = tf.train.Example.FromString(build_feature_record(_FEATURES))
    change(example.features.feature)
    return example.SerializeToString()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.context.feature.pop("user/id"), "`user/id` must be present"),
        (
            lambda e: e.context.feature["image/height"].float_list.value.append(2.0),
            "`image/height` must be a int64_list. Found: a float_list",
        ),
        (
            lambda e: e.context.feature["video/id"].bytes_list.value.append(b"2"),
            "`video/id` must be 1 values. Found: 2",
        ),
        (
            lambda e: e.context.feature["schema/version"].int64_list.value.__setitem__(
                0, 2
            ),
            "`schema/version` must be 1, the supported version. Found: 2",
        ),
        (
            lambda e: e.context.feature["image/format"].bytes_list.value.__setitem__(
                0, b"PNG"
            ),
            "`image/format` must be b'JPEG'. Found: b'PNG'",
        ),
        (
            lambda e: e.context.feature["caption/string"].bytes_list.value.__setitem__(
                0, b"\xff"
            ),
            "`caption/string` must be UTF-8 text",
        ),
        (
            lambda e: e.feature_lists.feature_list.pop("image/encoded"),
            "`image/encoded` must be present",
        ),
        (
            lambda e: e.feature_lists.feature_list["image/timestamp"].feature.pop(),
            "`image/timestamp` must be one for each image. Found: 2 for 3 images",
        ),
    ],
)
def test_frame_record_that_violates_the_schema_is_reported(change, message):
    with pytest.raises(RecordError) as caught:
        _parse_frames(_change_frames(change))
    assert str(caught.value).startswith("s, record 4: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.pop("frames/mask"),
            "`frames/mask` must be present with frames/embed",
        ),
        (
            lambda f: f["frames/shape"].int64_list.value.__setitem__(0, 3),
            "`frames/embedding` must be float16 of shape (3, 3). Found: 12 bytes",
        ),
        (
            lambda f: f["frames/shape"].int64_list.value.__setitem__(
                slice(None), [-2, -3]
            ),
            "`frames/embedding` must be float16 of shape (-2, -3)",
        ),
        (
            lambda f: f["frames/mask"].bytes_list.value.__setitem__(0, b"\x01\x02"),
            "`frames/mask` must be 2 bytes of 0 and 1",
        ),
    ],
)
def test_feature_record_that_violates_the_schema_is_reported(change, message):
    with pytest.raises(RecordError) as caught:
        _parse_features(_change_features(change))
    assert message in str(caught.value)


@given(st.binary(min_size=1, max_size=60))
def test_hostile_bytes_are_a_record_error(data):
    with pytest.raises(RecordError):
        _parse_frames(data)
    with pytest.raises(RecordError):
        _parse_features(data)
