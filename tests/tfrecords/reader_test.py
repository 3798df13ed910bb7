from dataclasses import replace

import cv2
import numpy as np
import pytest

import tfrecords
from dc_keras.errors import DataError, RecordError
from tfrecords.reader import (
    iter_frame_records,
    list_shard_paths,
    read_features,
)
from tfrecords.schema import (
    FeatureRecord,
    FrameRecord,
    build_feature_record,
    build_frame_record,
)
from tfrecords.writer import shard_name, write_manifest, write_shard

_SETTINGS = {"vision": {"name": "VGG16"}, "text": None}


def _feature(number, num_frames=2, with_text=True):
    return FeatureRecord(
        video_id=str(number),
        user_id="u",
        frames=np.full((num_frames, 3), number, np.float16),
        frame_mask=np.arange(num_frames) < number,
        caption=np.full(4, number / 2, np.float32) if with_text else None,
    )


def _write(directory, kind, shards, settings):
    build = build_frame_record if kind == "frames" else build_feature_record
    directory.mkdir()
    entries = [
        write_shard(
            directory,
            shard_name(kind, index, len(shards)),
            "d",
            [build(record) for record in records],
            dict,
        )
        for index, records in enumerate(shards)
    ]
    write_manifest(directory, kind, settings, entries)
    return directory


def _write_features(directory, *shards):
    return _write(directory, "features", shards, _SETTINGS)


def _write_frames(directory, *shards, num_frames=2):
    settings = {"num_frames": num_frames, "image_size": 8}
    return _write(directory, "frames", shards, settings)


def _frames(number):
    return FrameRecord(
        str(number), "u", "c", (), None, 5, 2, 8, 8, (0, 1), (b"a", b"b")
    )


def test_features_are_read_in_order_of_the_shards(tmp_path):
    directory = _write_features(
        tmp_path / "f", [_feature(2)], [_feature(1), _feature(3)]
    )
    features = read_features(directory)
    assert features.video_ids == ["2", "1", "3"]
    assert features.frames.dtype == np.float16
    assert features.frames.shape == (3, 2, 3)
    assert np.asarray(features.frames)[:, 0, 0].tolist() == [2, 1, 3]
    assert features.frame_mask.tolist() == [[True, True], [True, False], [True, True]]
    assert features.captions.dtype == np.float32
    assert features.captions[:, 0].tolist() == [1.0, 0.5, 1.5]
    assert features.settings == _SETTINGS
    other = _write_features(tmp_path / "g", [_feature(2)], [_feature(1), _feature(4)])
    assert read_features(other).sha256 != features.sha256
    assert read_features(directory).sha256 == features.sha256


def test_frames_stay_in_the_shards(tmp_path):
    # Frames of zeros, frames that occur twice, and an id that looks like their key.
    records = [
        replace(_feature(number), video_id=f"frames/embedding{number}")
        for number in (0, 3, 3, 0)
    ]
    directory = _write_features(tmp_path / "f", records)
    frames = read_features(directory).frames
    for row, record in enumerate(records):
        np.testing.assert_array_equal(frames[row], record.frames)
    (shard,) = list_shard_paths(directory)
    shard.write_bytes(shard.read_bytes())
    with pytest.raises(DataError, match="has changed since"):
        frames[0]


def test_features_without_text_have_none(tmp_path):
    directory = _write_features(tmp_path / "f", [_feature(1, with_text=False)])
    assert read_features(directory).captions is None


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (_feature(2, num_frames=3), "frames/embedding"),
        (replace(_feature(2), frames=np.zeros((2, 4), np.float16)), "frames/embedding"),
        (replace(_feature(2), frames=None, frame_mask=None), "frames/embedding"),
        (_feature(2, with_text=False), "caption/embedding"),
    ],
)
def test_features_of_unequal_sizes_are_an_error(tmp_path, other, key):
    directory = _write_features(tmp_path / "f", [_feature(1), other])
    with pytest.raises(RecordError, match=f"record 1: `{key}` must be of shape"):
        read_features(directory)


def test_directory_of_the_other_kind_is_an_error(tmp_path):
    features = _write_features(tmp_path / "f", [_feature(1)])
    frames = _write_frames(tmp_path / "g", [_frames(1)])
    with pytest.raises(DataError, match=r"of kind frames. Received: kind='features'"):
        tfrecords.frames_dataset(features)
    with pytest.raises(DataError, match=r"of kind features. Received: kind='frames'"):
        read_features(frames)
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        read_features(tmp_path)


def test_missing_and_empty_shards_are_an_error(tmp_path):
    empty = _write_features(tmp_path / "e", [])
    with pytest.raises(DataError, match=r"at least one. Received: 0 records"):
        read_features(empty)
    lacking = _write_features(tmp_path / "f", [_feature(1)], [_feature(2)])
    (lacking / shard_name("features", 1, 2)).unlink()
    with pytest.raises(DataError, match=r"features-00001-of-00002.*: missing"):
        read_features(lacking)


def test_damaged_record_is_reported(tmp_path):
    directory = _write_frames(tmp_path / "g", [_frames(1), _frames(2)])
    (shard,) = list_shard_paths(directory)
    data = bytearray(shard.read_bytes())
    data[-10] ^= 1
    shard.write_bytes(data)
    with pytest.raises(
        RecordError, match=r"frames-00000-of-00001.tfrecord, record 1: "
    ):
        list(iter_frame_records(shard))


def test_directories_of_unequal_frames_do_not_mix(tmp_path):
    first = _write_frames(tmp_path / "a", [_frames(2)])
    second = _write_frames(tmp_path / "b", [_frames(3)], num_frames=16)
    with pytest.raises(DataError, match=r"Received: 2x8px in .*a, 16x8px in .*b"):
        tfrecords.frames_dataset(first, second)
    with pytest.raises(DataError, match=r"at least one. Received: none"):
        tfrecords.frames_dataset()


_SIZE = 16
_FRAMES = {"num_frames": 2, "image_size": _SIZE}


def _jpeg(grey):
    pixels = np.full((_SIZE, _SIZE, 3), grey, np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def _record(number, greys, times):
    return FrameRecord(
        video_id=str(number),
        user_id="someone",
        caption=f"post {number}",
        hashtags=("fyp",) * number,
        create_time=1_600_000_000 if number else None,
        duration_us=5,
        source_num_frames=len(greys),
        height=_SIZE,
        width=_SIZE,
        timestamps_us=times,
        jpegs=tuple(map(_jpeg, greys)),
    )


def test_dataset_gives_the_records_of_all_directories_in_order(tmp_path):
    records = [_record(number, (50, 50), (0, 1)) for number in range(3)]
    first = _write(tmp_path / "a", "frames", [[records[2]], [records[1]]], _FRAMES)
    second = _write(tmp_path / "b", "frames", [[records[0]]], _FRAMES)
    posts = tfrecords.frames_dataset(first, second).as_numpy_iterator()
    assert [post["video_id"] for post in posts] == [b"2", b"1", b"0"]


@pytest.fixture
def directory(tmp_path):
    records = [_record(0, (), ()), _record(1, (50, 50, 200), (0, 0, 9))]
    entry = write_shard(
        tmp_path,
        shard_name("frames", 0, 1),
        "digest",
        [build_frame_record(record) for record in records],
        dict,
    )
    settings = {"num_frames": 3, "image_size": _SIZE}
    write_manifest(tmp_path, "frames", settings, [entry])
    return tmp_path


def test_frames_are_decoded_with_what_belongs_to_them(directory):
    dataset = tfrecords.frames_dataset(str(directory))
    assert dataset.element_spec["frames"].shape == (None, _SIZE, _SIZE, 3)
    without, post = dataset.as_numpy_iterator()
    assert without["frames"].shape == (0, _SIZE, _SIZE, 3)
    assert without["frame_mask"].shape == (0,)
    assert without["create_time"] == -1
    assert post["frames"].dtype == np.uint8
    np.testing.assert_array_equal(post["frames"].mean((1, 2, 3)), [50, 50, 200])
    assert post["frame_mask"].tolist() == [True, False, True]
    assert (post["video_id"], post["user_id"]) == (b"1", b"someone")
    assert (post["caption"], post["hashtags"].tolist()) == (b"post 1", [b"fyp"])
    assert post["create_time"] == 1_600_000_000


def test_posts_are_batched_with_padding(directory):
    [batch] = tfrecords.frames_dataset(directory).padded_batch(2)
    assert batch["frames"].shape == (2, 3, _SIZE, _SIZE, 3)
    assert batch["frame_mask"].numpy().tolist() == [[False] * 3, [True, False, True]]


def test_names_of_the_package_are_these(tmp_path):
    assert tfrecords.__all__ == ["frames_dataset"]
    assert "frames_dataset" in dir(tfrecords)
    with pytest.raises(AttributeError, match="no attribute 'frame_dataset'"):
        tfrecords.frame_dataset  # noqa: B018
    with pytest.raises(DataError, match="manifest"):
        tfrecords.frames_dataset(tmp_path)
