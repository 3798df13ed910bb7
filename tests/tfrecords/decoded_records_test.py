import cv2
import numpy as np
import pytest

import tfrecords
from tfrecords.errors import DataError
from tfrecords.schema import FrameRecord, build_frame_record
from tfrecords.writer import shard_name, write_manifest, write_shard

_SIZE = 16


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
