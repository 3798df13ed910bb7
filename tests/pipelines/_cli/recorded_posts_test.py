import numpy as np
import pytest

from dc_keras.errors import DataError
from dc_keras.serving.predictor import RawPost
from pipelines._cli.recorded_posts import of_records
from tfrecords.schema import FrameRecord, build_frame_record
from tfrecords.writer import shard_name, write_manifest, write_shard


@pytest.fixture
def records(tmp_path):
    """Posts "0" to "3" in two shards; "3" has no frames."""
    made = [
        FrameRecord(
            video_id=str(number),
            user_id="u",
            caption=f"post {number}",
            hashtags=(),
            create_time=None,
            duration_us=5,
            source_num_frames=1,
            height=8,
            width=8,
            timestamps_us=(0, 0) if number < 3 else (),
            jpegs=(b"a%d" % number,) * 2 if number < 3 else (),
        )
        for number in range(4)
    ]
    entries = [
        write_shard(
            tmp_path,
            shard_name("frames", index, 2),
            "digest",
            map(build_frame_record, made[index::2]),
            dict,
        )
        for index in range(2)
    ]
    settings = {"num_frames": 2, "image_size": 8}
    write_manifest(tmp_path, "frames", settings, entries)
    return tmp_path


def test_posts_come_in_the_order_that_is_asked_for(records):
    order = [str(n) for n in np.random.default_rng(0).permutation(4)]
    expected = [
        RawPost(f"post {n}", (b"a" + n.encode(),) * 2 if n != "3" else ())
        for n in order
    ]
    assert of_records(records, order) == expected
    assert of_records(records, ["2"]) == [RawPost("post 2", (b"a2", b"a2"))]


def test_a_post_without_a_record_is_one_line(records):
    with pytest.raises(
        DataError, match=r"record of every post\. .*video_id=8 and 1 mo"
    ):
        of_records(records, ["1", "9", "8"])
