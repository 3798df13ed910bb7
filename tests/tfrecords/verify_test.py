import dataclasses
import json

import cv2
import numpy as np
import pytest

from dc_keras.errors import DataError
from tfrecords.schema import (
    FeatureRecord,
    FrameRecord,
    build_feature_record,
    build_frame_record,
)
from tfrecords.verify import verify_records
from tfrecords.writer import shard_name, shard_of, write_manifest, write_shard

_JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
_SETTINGS = {"num_frames": 2, "image_size": 8, "fps": 0.0}
# By shard_of(id, 2): sha256 of "1" is even in its 64 leading bits' last, and so on; the
# first test shows that these are placed as they must be.
_IDS = [[i for i in map(str, range(10)) if shard_of(i, 2) == shard] for shard in (0, 1)]


def _record(video_id, **changes):
    record = FrameRecord(
        video_id, "u", "", (), None, 100, 5, 8, 8, (0, 50), (_JPEG, _JPEG)
    )
    return dataclasses.replace(record, **changes)


def _empty(video_id):
    return _record(
        video_id, duration_us=0, source_num_frames=0, timestamps_us=(), jpegs=()
    )


def _write_frames(directory, shards, settings=None):
    entries = []
    for index, records in enumerate(shards):
        num_empty = sum(not record.jpegs for record in records)
        counts = {
            "with_frames": len(records) - num_empty,
            "frames": sum(len(record.jpegs) for record in records),
            "bad_media": 0,
        }
        data = [build_frame_record(record) for record in records]
        name = shard_name("frames", index, len(shards))
        facts = {"counts": counts}
        entries.append(write_shard(directory, name, "d", data, lambda f=facts: f))
    settings = _SETTINGS if settings is None else settings
    write_manifest(directory, "frames", settings, entries)


def _good():
    return [[_record(i) for i in ids] for ids in _IDS]


def _faults(directory):
    return [str(fault) for fault in verify_records(directory).faults]


def test_good_records_have_no_fault(tmp_path):
    shards = _good()
    shards[1][0] = _empty(_IDS[1][0])
    _write_frames(tmp_path, shards)
    report = verify_records(tmp_path)
    assert report.faults == ()
    assert (report.kind, report.num_shards, report.num_records) == ("frames", 2, 10)
    assert report.num_frames == 18


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_one_flipped_byte_names_the_shard(tmp_path, share):
    _write_frames(tmp_path, _good())
    shard = tmp_path / shard_name("frames", 1, 2)
    data = bytearray(shard.read_bytes())
    data[int(share * len(data))] ^= 1
    shard.write_bytes(data)
    faults = _faults(tmp_path)
    assert faults
    assert all(fault.startswith("frames-00001-of-00002.tfrecord") for fault in faults)
    assert any("sha256 must be" in fault for fault in faults)
    assert any(", record " in fault for fault in faults)


def test_missing_truncated_and_foreign_shards_are_reported(tmp_path):
    _write_frames(tmp_path, _good())
    first, second = (tmp_path / shard_name("frames", i, 2) for i in range(2))
    second.write_bytes(second.read_bytes()[:-5])
    first.rename(tmp_path / shard_name("frames", 0, 3))
    faults = "\n".join(_faults(tmp_path))
    assert "frames-00000-of-00002.tfrecord: is missing" in faults
    assert "frames-00000-of-00003.tfrecord: is not in manifest.json" in faults
    assert "frames-00001-of-00002.tfrecord: bytes must be" in faults


def test_order_place_and_repeats_are_checked(tmp_path):
    shards = _good()
    shards[0][:2] = shards[0][1::-1]
    shards[1].append(shards[1][-1])
    shards[0].append(_record("99" if shard_of("99", 2) == 1 else "999"))
    _write_frames(tmp_path, shards)
    faults = _faults(tmp_path)
    assert len(faults) == 3 if shard_of("999", 2) == 1 or shard_of("99", 2) == 1 else 2
    assert (
        f"(video {_IDS[0][0]}): must have a greater id than the previous record"
        in faults[0]
    )
    assert f"(video {_IDS[1][-1]}): must have a greater id" in faults[-1]


def test_record_in_the_wrong_shard_is_reported(tmp_path):
    _write_frames(tmp_path, _good()[::-1])
    assert "belongs to shard 0, not 1" in "\n".join(_faults(tmp_path))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timestamps_us": (50, 0)}, "timestamps must ascend"),
        ({"timestamps_us": (0, 100)}, "inside the duration. Found: 0 to 100 in 100 us"),
        ({"timestamps_us": (-1, 0)}, "timestamps must be inside the duration"),
        ({"timestamps_us": (0,), "jpegs": (_JPEG,)}, "must have 2 frames or none"),
        ({"source_num_frames": 1}, "has 2 different frames of 1"),
        ({"source_num_frames": 0}, "exactly if its media has. Found: 2 frames of 0"),
        ({"height": 9}, "must be 8x8. Found: 9x8"),
        ({"jpegs": (_JPEG, b"\xff\xd8 no")}, "frame 1 must be a JPEG. Found: b'"),
        ({"jpegs": (b"", _JPEG)}, "frame 0 must be a JPEG"),
        (
            {"jpegs": (cv2.imencode(".jpg", np.zeros((9, 8, 3)))[1].tobytes(), _JPEG)},
            "frame 0 must decode to (8, 8, 3). Found: (9, 8, 3)",
        ),
        (
            {"jpegs": (cv2.imencode(".jpg", np.zeros((8, 8)))[1].tobytes(), _JPEG)},
            "frame 0 must decode to (8, 8, 3). Found: (8, 8)",
        ),
        (
            {"jpegs": (cv2.imencode(".png", np.zeros((8, 8, 3)))[1].tobytes(), _JPEG)},
            "frame 0 must be a JPEG",
        ),
    ],
)
def test_invalid_frames_are_reported(tmp_path, changes, problem):
    shards = _good()
    shards[0][1] = _record(_IDS[0][1], **changes)
    _write_frames(tmp_path, shards)
    fault, *_ = _faults(tmp_path)
    assert fault.startswith("frames-00000-of-00002.tfrecord, record 1 (video ")
    assert problem in fault


def test_fixed_rate_allows_fewer_frames(tmp_path):
    shards = [[_record("1", timestamps_us=(0,), jpegs=(_JPEG,))]]
    _write_frames(tmp_path, shards, _SETTINGS | {"fps": 1.0})
    assert _faults(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: m.update(num_records=11), "num_records is 11. Found: 10"),
        (lambda m: m["counts"].update(frames=3), "count frames is 3. Found: 20"),
        (
            lambda m: m["bad_media"].append({"video_id": "1", "reason": "r"}),
            "bad_media lists 1, not a post without frames",
        ),
        (
            lambda m: m["shards"][0].update(num_records=9),
            "must contain 9 records. Found: ",
        ),
        (lambda m: m["shards"].reverse(), "shard 0 must be frames-00000-of-00002"),
    ],
)
def test_manifest_is_compared_with_what_is_there(tmp_path, change, problem):
    _write_frames(tmp_path, _good())
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    assert "manifest.json: is damaged: its content has changed" in _faults(tmp_path)
    (tmp_path / "SHA256SUMS").unlink()
    assert any(problem in fault for fault in _faults(tmp_path))


def test_directory_without_manifest_cannot_be_verified(tmp_path):
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        verify_records(tmp_path)


def _feature(video_id, **changes):
    record = FeatureRecord(
        video_id,
        "u",
        np.ones((2, 3), np.float16),
        np.array([True, False]),
        np.ones(4, np.float32),
    )
    return dataclasses.replace(record, **changes)


def _write_features(directory, records, settings=None):
    data = [build_feature_record(record) for record in records]
    entry = write_shard(directory, shard_name("features", 0, 1), "d", data, dict)
    if settings is None:
        settings = {"vision": {"name": "VGG16"}, "text": {"handle": "hub:x"}}
    write_manifest(directory, "features", settings, [entry])


def test_good_features_have_no_fault(tmp_path):
    _write_features(tmp_path, [_feature("1"), _feature("2")])
    report = verify_records(tmp_path)
    assert report.faults == ()
    assert (report.kind, report.num_records, report.num_frames) == ("features", 2, 4)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"frames": np.ones((3, 3), np.float16), "frame_mask": np.ones(3, bool)},
            "`frames/embedding` must be (2, 3), as in the first. Found: (3, 3)",
        ),
        (
            {"frames": np.full((2, 3), np.inf, np.float16)},
            "`frames/embedding` must be finite",
        ),
        (
            {"caption": np.full(4, np.nan, np.float32)},
            "`caption/embedding` must be finite",
        ),
        (
            {"caption": None},
            "`caption/embedding` must be present only with text. Found: nothing",
        ),
    ],
)
def test_invalid_features_are_reported(tmp_path, changes, problem):
    _write_features(tmp_path, [_feature("1"), _feature("2", **changes)])
    (fault,) = _faults(tmp_path)
    assert fault.startswith("features-00000-of-00001.tfrecord, record 1 (video 2): ")
    assert problem in fault


def test_features_without_their_encoder_are_reported(tmp_path):
    _write_features(
        tmp_path, [_feature("1")], {"vision": None, "text": {"handle": "x"}}
    )
    (fault,) = _faults(tmp_path)
    assert "`frames/embedding` must be present only with vision. Found: an" in fault
