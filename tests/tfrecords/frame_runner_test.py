import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from tfrecords import decoding_process
from tfrecords.frame_runner import write_frame_records
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.shard_runs import Part
from tfrecords.storage.locking import writing
from tfrecords.verify import verify_records

_ROOT = Path(__file__).parents[2]
_CONFIG = SamplingConfig(num_frames=4, image_size=64)
_NUM_SHARDS = 5


@pytest.fixture
def media(tmp_path, write_clip):
    root = tmp_path / "media"
    root.mkdir()
    for number in range(6):
        write_clip(root / f"{number}.mp4", 20 + number)
    return root


def _videos(num_videos=12):
    return [
        Video(str(7000 + i), f"u{i % 3}", "test", media_path=f"{i % 6}.mp4")
        for i in range(num_videos)
    ]


def _write(videos, root, directory, **options):
    options = {"num_shards": _NUM_SHARDS, **options}
    return write_frame_records(videos, root, directory, _CONFIG, **options)


def _files(directory):
    return {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()}


def test_run_writes_shards_and_manifest_that_verify(media, tmp_path):
    run = _write(_videos(), media, tmp_path / "out")
    assert run.num_resumed == 0
    assert run.manifest["num_records"] == 12
    assert run.manifest["counts"]["frames"] == 48
    assert len(_files(tmp_path / "out")) == _NUM_SHARDS + 2
    settings = run.manifest["settings"]
    assert (settings["num_frames"], settings["fps"]) == (4, 0.0)
    report = verify_records(tmp_path / "out")
    assert report.faults == ()
    assert (report.num_records, report.num_frames) == (12, 48)


def test_shards_are_byte_identical_with_any_workers_and_order(media, tmp_path):
    _write(_videos(), media, tmp_path / "one")
    _write(_videos()[::-1], media, tmp_path / "two", workers=2)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_rerun_does_nothing_and_changed_settings_rewrite_all_shards(media, tmp_path):
    _write(_videos(), media, tmp_path / "out")
    before = _files(tmp_path / "out")
    run = _write(_videos(), media, tmp_path / "out")
    assert run.num_resumed == _NUM_SHARDS
    assert _files(tmp_path / "out") == before
    config = SamplingConfig(num_frames=2, image_size=64)
    arguments = (_videos(), media, tmp_path / "out", config)
    with pytest.raises(DataError, match="num_frames=2 instead of 4"):
        write_frame_records(*arguments, num_shards=_NUM_SHARDS)
    assert _files(tmp_path / "out") == before
    run = write_frame_records(*arguments, num_shards=_NUM_SHARDS, overwrite=True)
    assert run.num_resumed == 0
    assert verify_records(tmp_path / "out").num_frames == 24


def test_an_added_post_rewrites_only_its_shard(media, tmp_path):
    _write(_videos(12), media, tmp_path / "out")
    run = _write(_videos(13), media, tmp_path / "out")
    assert run.num_resumed == _NUM_SHARDS - 1
    assert verify_records(tmp_path / "out").faults == ()


def test_runs_that_share_the_shards_give_what_one_run_gives(media, tmp_path):
    _write(_videos(), media, tmp_path / "whole")
    first = _write(_videos(), media, tmp_path / "parts", part=Part(0, 2))
    assert first.manifest is None
    assert len(first.entries) == 3  # shards 0, 2, 4
    second = _write(_videos(), media, tmp_path / "parts", part=Part(1, 2))
    assert second.manifest is not None
    assert _files(tmp_path / "whole") == _files(tmp_path / "parts")


def test_another_number_of_shards_is_refused(media, tmp_path):
    _write(_videos(), media, tmp_path)
    with pytest.raises(DataError, match=r"other settings.*num_shards=3 instead"):
        _write(_videos(), media, tmp_path, num_shards=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_shards": 0}, "`num_shards` must be from 1 to 99999. Received"),
        ({"workers": 0}, "`workers` must be from 1 to 1024. Received: workers=0"),
        ({"part": Part(0, 6)}, "`shard_count` must be from 1 to 5. Received"),
        ({"part": Part(1, 1)}, "`shard_index` must be from 0 to 0. Received"),
    ],
)
def test_numbers_outside_their_range_are_refused(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        _write(_videos(), tmp_path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_bad_media_is_reported_after_everything_is_written(media, tmp_path):
    for number in range(5):
        (media / f"{number}.mp4").write_bytes(b"no video")
    with pytest.raises(DataError) as caught:
        _write(_videos(6), media, tmp_path / "out")
    message = str(caught.value)
    assert "5 posts have no frames" in message
    assert "and 2 more" in message
    assert "--max_bad_media=5. Received: max_bad_media=0" in message
    assert "\n" not in message
    # Counted again by a run that finds everything done.
    with pytest.raises(DataError, match="5 posts have no frames"):
        _write(_videos(6), media, tmp_path / "out", max_bad_media=4)
    run = _write(_videos(6), media, tmp_path / "out", max_bad_media=5)
    assert [bad["video_id"] for bad in run.manifest["bad_media"]] == [
        "7000",
        "7001",
        "7002",
        "7003",
        "7004",
    ]
    assert verify_records(tmp_path / "out").faults == ()


# Forks after the slow import, so that each run begins to write at once.
_KILLED = """
import json, os, signal, sys, time
from pathlib import Path
from dc_keras.corpus.records import Video
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.frame_runner import write_frame_records
arguments = json.loads(sys.argv[1])
videos = [
    Video(str(7000 + i), f"u{i % 3}", "test", media_path=f"{i % 6}.mp4")
    for i in range(arguments["num_videos"])
]
for delay in arguments["delays"]:
    child = os.fork()
    if child == 0:
        write_frame_records(
            videos, Path(arguments["media"]), Path(arguments["output"]),
            SamplingConfig(num_frames=4, image_size=64), num_shards=5,
        )
        os._exit(0)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    print(os.WIFSIGNALED(os.waitpid(child, 0)[1]))
"""


@pytest.mark.long  # kills_test.py kills the command too
def test_writer_killed_at_ten_random_times_resumes_to_the_same_bytes(media, tmp_path):
    videos = _videos(60)
    start = time.monotonic()
    _write(videos, media, tmp_path / "whole")
    took = time.monotonic() - start
    draw = random.Random(20201219)
    arguments = {
        "num_videos": len(videos),
        "media": str(media),
        "output": str(tmp_path / "killed"),
        "delays": [draw.uniform(0, took / 3) for _ in range(10)],
    }
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, json.dumps(arguments)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split().count("True") >= 3
    for workers in (1, 2):
        run = _write(videos, media, tmp_path / "killed", workers=workers)
        assert run.manifest is not None
        assert _files(tmp_path / "killed") == _files(tmp_path / "whole")


_WITH_WORKERS = """
import sys
from pathlib import Path
from dc_keras.corpus.records import Video
from tfrecords.frame_sampling import SamplingConfig
from tfrecords.frame_runner import write_frame_records
if __name__ == "__main__":
    videos = [
        Video(str(7000 + i), "u", "test", media_path=f"{i % 6}.mp4")
        for i in range(10_000)
    ]
    write_frame_records(
        videos, Path(sys.argv[1]), Path(sys.argv[2]),
        SamplingConfig(num_frames=4, image_size=64), num_shards=4, workers=2,
    )
"""


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL]
)
def test_stopping_the_first_process_stops_the_workers(media, tmp_path, how):
    script = tmp_path / "write.py"
    script.write_text(_WITH_WORKERS)
    output = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, str(script), str(media), str(output)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(lambda: len(_temporaries(output)) == 2)
        process.send_signal(how)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    # Nothing is at work any more: unfinished shards stay so; a clean stop leaves none.
    assert len(_settled(output)) == (2 if how == signal.SIGKILL else 0)
    assert sorted(output.glob("frames-*")) == []
    assert not (output / "manifest.json").exists()


def _settled(directory):
    """Returns the sizes of the incomplete shards when they stop growing."""
    end = time.monotonic() + 30
    before, sizes = None, _sizes(directory)
    while sizes != before:
        assert time.monotonic() < end, "the workers went on"
        time.sleep(1)
        before, sizes = sizes, _sizes(directory)
    return sizes


def _sizes(directory):
    return {path.name: path.stat().st_size for path in _temporaries(directory)}


def _temporaries(directory):
    return list(directory.glob(".*.tmp")) if directory.is_dir() else []


def _wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the workers never began"
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_crashes_the_decoder_is_reported_and_the_run_continues(
    media, tmp_path, monkeypatch, workers
):
    bad = []
    for number, name in enumerate(("crash.mp4", "large.mp4", "once.mp4")):
        shutil.copy(media / "0.mp4", media / name)
        bad.append(Video(str(7990 + number), "u1", "test", media_path=name))
    monkeypatch.setattr(decoding_process, "_SERVER", "crashing_decoder")
    options = {"workers": workers, "max_bad_media": 2}
    run = _write([*_videos(6), *bad], media, tmp_path / "out", **options)
    # In the order of the shards.
    assert sorted(run.manifest["bad_media"], key=lambda post: post["video_id"]) == [
        {"video_id": "7990", "reason": "crash.mp4: crashes the decoder"},
        {"video_id": "7991", "reason": "large.mp4: crashes the decoder"},
    ]
    assert run.manifest["counts"]["with_frames"] == 7
    # No run tries them again.
    run = _write([*_videos(6), *bad], media, tmp_path / "out", **options)
    assert run.num_resumed == _NUM_SHARDS


def test_runs_of_one_part_exclude_each_other_and_those_of_others_do_not(
    media, tmp_path
):
    out = tmp_path / "out"
    taken = out / "frames-part-0-of-2"
    with writing(taken), pytest.raises(DataError, match="another process is writing"):
        _write(_videos(), media, out, part=Part(0, 2))
    with writing(taken):
        _write(_videos(), media, out, part=Part(1, 2))
    run = _write(_videos(), media, out)
    assert run.num_resumed == 2
    shard = out / "frames-00003-of-00005.tfrecord"
    shard.unlink()
    with writing(shard), pytest.raises(DataError, match="another process is writing"):
        _write(_videos(), media, out)
