import json
import shutil
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.errors import DataError
from tfrecords.progress import ShardEntry, finished_shard
from tfrecords.reader import iter_serialized
from tfrecords.writer import (
    list_shards,
    prepare_directory,
    read_manifest,
    shard_name,
    shard_of,
    write_manifest,
    write_shard,
)

_NAME = shard_name("frames", 0, 1)


def _write(directory, records=(b"a", b"bc"), digest="d", facts=None):
    found = {} if facts is None else facts
    return write_shard(directory, _NAME, digest, records, lambda: found)


def test_shard_follows_from_the_id_alone():
    # sha256("7") begins 7902699be42c8a8e; its last four bits are e = 14, mod 4 is 2.
    assert shard_of("7", 4) == 0x7902699BE42C8A8E % 4 == 2


@given(st.text(), st.integers(1, 500))
def test_shard_is_one_of_those_there_are(video_id, num_shards):
    assert 0 <= shard_of(video_id, num_shards) < num_shards


def test_shard_names():
    assert shard_name("frames", 3, 10) == "frames-00003-of-00010.tfrecord"


def test_shard_is_written_and_remembered(tmp_path):
    entry = _write(tmp_path, facts={"counts": {"frames": 3}})
    assert list(iter_serialized(tmp_path / _NAME)) == [b"a", b"bc"]
    # A record takes its bytes and 16 more: length, and two checksums.
    assert (entry.num_records, entry.bytes) == (2, 3 + 2 * 16)
    assert finished_shard(tmp_path, _NAME, "d") == entry
    assert ShardEntry(**json.loads(json.dumps(asdict(entry)))) == entry
    assert sorted(path.name for path in tmp_path.iterdir()) == [".progress", _NAME]


def test_shard_is_made_again_when_it_is_not_what_was_written(tmp_path):
    _write(tmp_path)
    assert finished_shard(tmp_path, _NAME, "other") is None
    shard = tmp_path / _NAME
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + b"\0")
    assert finished_shard(tmp_path, _NAME, "d") is None
    shard.write_bytes(whole)
    assert finished_shard(tmp_path, _NAME, "d") is not None
    shard.unlink()
    assert finished_shard(tmp_path, _NAME, "d") is None
    shard.write_bytes(whole)
    (tmp_path / ".progress" / f"{_NAME}.json").write_text("{")
    assert finished_shard(tmp_path, _NAME, "d") is None


def test_failure_leaves_nothing_under_the_final_name(tmp_path):
    def fail():
        yield b"a"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path, records=fail())
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_are_removed(tmp_path):
    leftover = tmp_path / f".{_NAME}.0123.tmp"
    other = tmp_path / ".frames-00001-of-00002.tfrecord.0123.tmp"
    leftover.touch()
    other.touch()
    _write(tmp_path)
    assert not leftover.exists()
    assert other.exists()


def test_manifest_sums_the_shards_and_is_deleted_before_one_changes(tmp_path):
    names = [shard_name("frames", i, 2) for i in range(2)]
    facts = [
        {"counts": {"frames": 3}, "bad_media": [{"video_id": "9", "reason": "r"}]},
        {"counts": {"frames": 4}, "bad_media": [{"video_id": "8", "reason": "q"}]},
    ]
    entries = [
        write_shard(tmp_path, name, "d", [b"x"], lambda fact=fact: fact)
        for name, fact in zip(names, facts, strict=True)
    ]
    manifest = write_manifest(tmp_path, "frames", {"fps": 0.0}, entries[::-1])
    assert read_manifest(tmp_path) == manifest
    assert manifest["num_records"] == 2
    assert manifest["counts"] == {"frames": 7}
    assert [bad["video_id"] for bad in manifest["bad_media"]] == ["8", "9"]
    assert manifest["shards"][0] == {
        "name": names[0],
        "num_records": 1,
        "sha256": entries[0].sha256,
        "bytes": 17,
    }
    write_shard(tmp_path, names[1], "e", [b"y"], dict)
    with pytest.raises(DataError, match=r"has no manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a manifest"),
        ("[]", "is not a manifest"),
        ('{"kind": "frames"}', "is not a manifest"),
        (
            '{"schema_version": 9, "kind": "frames"}',
            "Received: schema_version=9, kind='frames'",
        ),
        ('{"schema_version": 1, "kind": "x"}', "Received: schema_version=1, kind='x'"),
    ],
)
def test_manifest_that_is_none_is_an_error(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path)


def test_directory_of_another_run_is_refused(tmp_path):
    _write(tmp_path)
    prepare_directory(tmp_path, "frames", 1, {"fps": 1})
    with pytest.raises(DataError, match=r"of another run.*Received: num_shards=2"):
        prepare_directory(tmp_path, "frames", 2, {"fps": 1})
    with pytest.raises(DataError, match="of another run"):
        prepare_directory(tmp_path, "features", 1, {"fps": 1})
    assert list_shards(tmp_path) == [_NAME]


def test_shards_with_other_settings_are_replaced_only_with_overwrite(tmp_path):
    prepare_directory(tmp_path, "frames", 1, {"fps": 1, "size": {"px": 2}})
    _write(tmp_path)
    other = {"fps": 1, "size": {"px": 3}}
    with pytest.raises(
        DataError, match=r"--overwrite. Received: size.px=3 instead of 2"
    ):
        prepare_directory(tmp_path, "frames", 1, other)
    prepare_directory(tmp_path, "frames", 2, other, overwrite=True)
    assert list_shards(tmp_path) == []
    prepare_directory(tmp_path, "frames", 2, other)


def test_settings_are_read_from_the_manifest_without_progress_files(tmp_path):
    entry = _write(tmp_path)
    write_manifest(tmp_path, "frames", {"fps": 1}, [entry])
    shutil.rmtree(tmp_path / ".progress")
    with pytest.raises(DataError, match="fps=2 instead of 1"):
        prepare_directory(tmp_path, "frames", 1, {"fps": 2})
