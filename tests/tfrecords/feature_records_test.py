import json
from dataclasses import dataclass

import numpy as np
import pytest

from dc_keras.errors import DataError, RecordError
from tfrecords.feature_records import write_feature_records
from tfrecords.reader import iter_serialized, read_features
from tfrecords.schema import (
    FeatureRecord,
    FrameRecord,
    build_frame_record,
    parse_feature_record,
)
from tfrecords.shard_runs import Part
from tfrecords.verify import verify_records
from tfrecords.writer import (
    hash_file,
    read_manifest,
    shard_name,
    write_manifest,
    write_shard,
)

# Where `shard_of` puts them.
_SHARDS = [["6", "8", "9"], [], ["5", "7"]]
_SETTINGS = {
    "vision": {"name": "VGG16", "fingerprint": "aa", "embedding_dim": 3},
    "text": {"handle": "hub:bert", "fingerprint": "cc", "embedding_dim": 4},
}


def _frame_record(video_id, caption="dance"):
    return FrameRecord(
        video_id=video_id,
        user_id=f"user of {video_id}",
        caption=caption,
        hashtags=(),
        create_time=None,
        duration_us=10,
        source_num_frames=2,
        height=32,
        width=32,
        timestamps_us=(0, 5),
        jpegs=(b"jpeg", video_id.encode()),
    )


def _write_frames(directory, shards=_SHARDS, caption="dance"):
    directory.mkdir(exist_ok=True)
    entries = [
        write_shard(
            directory,
            shard_name("frames", index, len(shards)),
            "d",
            [build_frame_record(_frame_record(i, caption)) for i in ids],
            dict,
        )
        for index, ids in enumerate(shards)
    ]
    write_manifest(directory, "frames", {"num_frames": 2}, entries)
    return directory


class _Extract:
    """Encodes and records the ids and captions of posts, and may fail midway."""

    def __init__(self, break_at=None, vision=True, text=True):
        self.break_at, self.vision, self.text = break_at, vision, text
        self.seen = []

    def __call__(self, posts):
        for post in posts:
            if post.video_id == self.break_at:
                raise KeyboardInterrupt
            self.seen.append(post.video_id)
            number = int(post.jpegs[1])
            caption = np.full(4, len(post.caption) / 8, np.float32)
            yield FeatureRecord(
                post.video_id,
                post.user_id,
                np.full((2, 3), number, np.float16) if self.vision else None,
                np.array([True, number > 6]) if self.vision else None,
                caption if self.text else None,
            )


@pytest.fixture
def frames(tmp_path):
    return _write_frames(tmp_path / "frames")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "new" / "features"


def _write(frames, output, extract=None, overwrite=False, **changes):
    extract = _Extract() if extract is None else extract
    settings = {**_SETTINGS, **changes}
    run = write_feature_records(frames, output, extract, settings, overwrite=overwrite)
    return run, extract.seen


def _hashes(directory):
    return {path.name: hash_file(path) for path in directory.glob("[!.]*")}


def test_every_frame_record_becomes_a_feature_record(frames, output):
    run, _ = _write(frames, output)
    features = read_features(output)
    assert features.video_ids == ["6", "8", "9", "5", "7"]
    assert features.frames.dtype == np.float16
    assert np.asarray(features.frames)[:, 1, 2].tolist() == [6, 8, 9, 5, 7]
    assert features.frame_mask[:, 1].tolist() == [False, True, True, False, True]
    np.testing.assert_array_equal(features.captions, np.full((5, 4), 5 / 8))
    assert features.settings == _SETTINGS
    assert run.num_resumed == 0
    assert verify_records(output).faults == ()


def test_shards_are_those_of_the_frames_under_their_own_name(frames, output):
    run, _ = _write(frames, output)
    names = [f"features-0000{i}-of-00003.tfrecord" for i in range(3)]
    assert [shard["name"] for shard in run.manifest["shards"]] == names
    assert [shard["num_records"] for shard in run.manifest["shards"]] == [3, 0, 2]
    assert json.loads((output / "manifest.json").read_text()) == run.manifest
    records = [
        parse_feature_record(serialized, shard=names[2], index=index)
        for index, serialized in enumerate(iter_serialized(output / names[2]))
    ]
    assert [record.user_id for record in records] == ["user of 5", "user of 7"]
    assert sorted(path.name for path in output.iterdir()) == [
        ".progress",
        "SHA256SUMS",
        *names,
        "manifest.json",
    ]


@pytest.mark.parametrize("without", ["vision", "text"])
def test_one_encoder_is_enough(frames, output, without):
    _write(frames, output, _Extract(**{without: False}))
    features = read_features(output)
    assert (features.frames is None) == (without == "vision")
    assert (features.frame_mask is None) == (without == "vision")
    assert (features.captions is None) == (without == "text")


def test_equal_runs_give_equal_bytes(frames, output, tmp_path):
    _write(frames, output)
    _write(frames, tmp_path / "again")
    assert _hashes(output) == _hashes(tmp_path / "again")


def test_a_finished_run_is_left_alone(frames, output, terminal):
    first, _ = _write(frames, output)
    times = {path: path.stat().st_mtime_ns for path in output.glob("*.tfrecord")}
    terminal.readouterr()
    again, seen = _write(frames, output)
    assert seen == []
    assert again.num_resumed == 3
    assert again.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert "5/5" in terminal.readouterr().err


@pytest.mark.parametrize(
    ("break_at", "num_resumed", "left"),
    [("8", 0, ["6", "8", "9", "5", "7"]), ("7", 2, ["5", "7"])],
)
def test_an_interrupted_run_resumes_at_its_shard(
    frames, output, tmp_path, break_at, num_resumed, left
):
    with pytest.raises(KeyboardInterrupt):
        _write(frames, output, _Extract(break_at))
    assert len(list(output.glob("*.tfrecord"))) == num_resumed
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        read_features(output)
    run, seen = _write(frames, output)
    assert (run.num_resumed, seen) == (num_resumed, left)
    _write(frames, tmp_path / "whole")
    assert _hashes(output) == _hashes(tmp_path / "whole")


def test_another_fingerprint_rewrites_every_shard(frames, output):
    _write(frames, output)
    other = {"vision": {**_SETTINGS["vision"], "fingerprint": "bb"}}
    # Broken off half-way, the two must not pass for one set of features.
    with pytest.raises(DataError, match=r"--overwrite.*fingerprint=bb instead of aa"):
        _write(frames, output, **other)
    with pytest.raises(KeyboardInterrupt):
        _write(frames, output, _Extract("5"), overwrite=True, **other)
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        read_features(output)
    run, seen = _write(frames, output, **other)
    assert (run.num_resumed, seen) == (2, ["5", "7"])
    assert read_features(output).settings["vision"]["fingerprint"] == "bb"
    run, seen = _write(frames, output, overwrite=True)
    assert (run.num_resumed, len(seen)) == (0, 5)


@pytest.mark.parametrize("changes", [{"repeat": "zero"}, {"text": None}])
def test_any_other_setting_rewrites_every_shard(frames, output, changes):
    _write(frames, output)
    with pytest.raises(DataError, match="features with other settings"):
        _write(frames, output, **changes)
    run, _ = _write(frames, output, overwrite=True, **changes)
    assert run.num_resumed == 0


def test_the_order_of_settings_does_not_matter(frames, output):
    _write(frames, output)
    reordered = dict(reversed(_SETTINGS.items()))
    assert write_feature_records(frames, output, _Extract(), reordered).num_resumed == 3


def test_only_shards_with_other_frames_are_rewritten(frames, output):
    _write(frames, output)
    _write_frames(frames, [["6", "8", "9"], ["1"], ["5", "7"]])
    run, seen = _write(frames, output)
    assert (run.num_resumed, seen) == (2, ["1"])
    assert read_features(output).video_ids == ["6", "8", "9", "1", "5", "7"]


def test_a_damaged_shard_is_rewritten(frames, output):
    _write(frames, output)
    before = _hashes(output)
    path = output / shard_name("features", 2, 3)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    run, seen = _write(frames, output)
    assert (run.num_resumed, seen) == (2, ["5", "7"])
    assert _hashes(output) == before


def test_damaged_frames_stop_the_run_and_are_reported(frames, output):
    path = frames / shard_name("frames", 2, 3)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(RecordError, match=r"frames-00002-of-00003.tfrecord, record 1"):
        _write(frames, output)
    assert not (output / "manifest.json").exists()
    assert not list(output.glob(".*.tmp"))


def test_a_directory_of_other_shards_is_refused(frames, output, tmp_path):
    _write(frames, output)
    fewer = _write_frames(tmp_path / "fewer", [["1"]])
    message = r"contains features-00000-of-00003.tfrecord, of another run.*num_shards=1"
    with pytest.raises(DataError, match=message):
        _write(fewer, output)
    with pytest.raises(DataError, match=r"contains frames-00000-of-00003.tfrecord"):
        _write(fewer, frames)
    assert read_manifest(frames)["num_records"] == 5


def test_features_are_made_of_frames(frames, output, tmp_path):
    _write(frames, output)
    message = (
        r"features must contain records of kind frames\. Received: kind='features'"
    )
    with pytest.raises(DataError, match=message):
        _write(output, tmp_path / "features of features")
    with pytest.raises(DataError, match="nowhere must be .* but it does not exist"):
        _write(tmp_path / "nowhere", output)


def test_a_missing_frame_shard_is_reported(frames, output):
    (frames / shard_name("frames", 1, 3)).unlink()
    with pytest.raises(DataError, match=r"frames-00001-of-00003.tfrecord: missing"):
        _write(frames, output)


def test_the_manifest_of_frames_is_read(frames):
    manifest = read_manifest(frames)
    assert manifest["settings"] == {"num_frames": 2}
    assert manifest["num_records"] == 5


def test_parts_write_what_one_run_writes(frames, output, tmp_path):
    for index in (1, 0):
        run = write_feature_records(
            frames, tmp_path / "parts", _Extract(), _SETTINGS, part=Part(index, 2)
        )
    assert run.manifest is not None
    _write(frames, output)
    assert _hashes(output) == _hashes(tmp_path / "parts")


class _ThisProcess:
    """A cluster of one node."""

    def run(self, work, units, kind):
        assert kind == "shard"
        for unit in units:
            yield unit, work(unit)


@dataclass(frozen=True)
class _Spec:
    fingerprint: str = "aa"

    def build(self):
        return _Extractor(self.fingerprint)


class _Extractor:
    def __init__(self, fingerprint):
        self.fingerprint = fingerprint

    def settings(self):
        vision = {**_SETTINGS["vision"], "fingerprint": self.fingerprint}
        return {**_SETTINGS, "vision": vision}

    def extract(self, posts):
        return _Extract()(posts)


def test_a_cluster_writes_what_this_process_writes(frames, output, tmp_path, terminal):
    _write(frames, output)
    here = {"cluster": _ThisProcess(), "spec": _Spec()}
    terminal.readouterr()
    write_feature_records(frames, tmp_path / "made", _Extract(), _SETTINGS, **here)
    assert "5/5" in terminal.readouterr().err
    assert _hashes(output) == _hashes(tmp_path / "made")


def test_a_node_with_other_encoders_is_refused(frames, output):
    with pytest.raises(DataError, match="must have the encoders of the run") as caught:
        write_feature_records(
            frames,
            output,
            _Extract(),
            _SETTINGS,
            cluster=_ThisProcess(),
            spec=_Spec("bb"),
        )
    assert "\n" not in str(caught.value)
    assert list(output.glob("*.tfrecord")) == []
