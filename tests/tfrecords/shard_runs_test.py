import pytest

from dc_keras.errors import DataError
from tfrecords.shard_runs import Part, ShardJob, run_shards
from tfrecords.writer import shard_name, write_shard


def _jobs(directory, num_shards=5, digest="d"):
    names = [shard_name("frames", index, num_shards) for index in range(num_shards)]
    return [ShardJob(directory, name, 2, digest, None) for name in names]


def _make(missing, bar):
    for job in missing:
        yield write_shard(job.directory, job.name, job.digest, [b"a", b"b"], dict)
        bar.update(job.num_posts)


def _run(directory, part=None, make=_make, digest="d", overwrite=False):
    return run_shards(
        _jobs(directory, digest=digest),
        Part() if part is None else part,
        make,
        directory=directory,
        kind="frames",
        settings={"digest": digest},
        overwrite=overwrite,
    )


def test_parts_share_the_shards_and_the_last_one_writes_the_manifest(tmp_path):
    numbers = []
    for index in (2, 0, 1):
        run = _run(tmp_path, Part(index, 3))
        numbers.append([int(entry.name[7:12]) for entry in run.entries])
        assert (run.manifest is None) == (index != 1)
    assert numbers == [[2], [0, 3], [1, 4]]
    assert run.manifest["num_records"] == 10
    assert run.manifest == _run(tmp_path).manifest


def test_a_part_that_is_run_again_after_all_are_done_writes_the_manifest(tmp_path):
    _run(tmp_path, Part(0, 2))
    _run(tmp_path, Part(1, 2))
    (tmp_path / "manifest.json").unlink()
    run = _run(tmp_path, Part(0, 2))
    assert (run.num_resumed, run.manifest["num_records"]) == (3, 10)


def test_shards_of_other_settings_are_not_done(tmp_path):
    _run(tmp_path, Part(0, 2), digest="old")
    with pytest.raises(DataError, match="digest=d instead of old"):
        _run(tmp_path, Part(1, 2))
    run = _run(tmp_path, Part(1, 2), overwrite=True)
    assert run.manifest is None
    assert not (tmp_path / "manifest.json").exists()


def test_a_damaged_shard_of_another_part_keeps_the_manifest_away(tmp_path):
    _run(tmp_path, Part(0, 2))
    path = tmp_path / shard_name("frames", 2, 5)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert _run(tmp_path, Part(1, 2)).manifest is None
    assert _run(tmp_path, Part(0, 2)).manifest is not None


def test_what_a_killed_writer_left_of_the_settings_is_removed(tmp_path):
    _run(tmp_path, Part(0, 2))
    leftover = tmp_path / ".progress" / ".settings.json.0123.tmp"
    leftover.touch()
    _run(tmp_path)
    assert not leftover.exists()


def test_progress_begins_where_the_last_run_ended(tmp_path, terminal):
    _run(tmp_path, Part(0, 2))
    terminal.readouterr()
    _run(tmp_path)
    # Shards 0, 2 and 4, of two posts each, were done.
    assert "6/10" in terminal.readouterr().err


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(0, 6), "`shard_count` must be from 1 to 5. Received: shard_count=6"),
        (Part(0, 0), "`shard_count` must be from 1 to 5. Received: shard_count=0"),
        (Part(2, 2), "`shard_index` must be from 0 to 1. Received: shard_index=2"),
    ],
)
def test_parts_that_these_shards_cannot_be_cut_into_are_refused(
    tmp_path, part, message
):
    with pytest.raises(DataError, match=message):
        _run(tmp_path / "out", part)
    assert not (tmp_path / "out").exists()
