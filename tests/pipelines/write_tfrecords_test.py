import json
import shutil

import pytest


@pytest.fixture(scope="module")
def manifest(frames):
    return json.loads((frames.output / "manifest.json").read_text("utf-8"))


def _shards(directory):
    return {p.name: p.stat().st_mtime_ns for p in directory.glob("*.tfrecord")}


def test_every_post_becomes_a_record(frames, corpus, manifest):
    posts = manifest["num_records"]
    assert f"{posts} records in 2 shards (0 done before)" in frames.stdout
    assert f"{posts} posts, " in corpus.stdout
    assert manifest["bad_media"] == []


def test_flags_after_a_preset_win_over_it(manifest):
    assert manifest["settings"]["num_frames"] == 2
    assert manifest["settings"]["image_size"] == 32


def test_a_second_run_finds_everything_done(run_script, frames, corpus):
    before = _shards(frames.output)
    done = run_script(
        "write_tfrecords",
        f"--corpus={corpus.output}",
        f"--output={frames.output}",
        "--num_frames=2",
        "--image_size=32",
        "--num_shards=2",
    )
    assert done.returncode == 0, done.stderr
    assert "in 2 shards (2 done before)" in done.stdout
    assert _shards(frames.output) == before


def test_broken_media_fails_until_it_is_allowed(
    run_script, world, corpus, tmp_path, fails_in_one_line
):
    media = tmp_path / "media"
    shutil.copytree(world.output / "media", media)
    broken = min(path for path in media.rglob("*.mp4"))
    broken.write_bytes(b"no video")
    flags = [
        f"--corpus={corpus.output}",
        f"--media_root={media}",
        f"--output={tmp_path}/frames",
        "--num_frames=1",
        "--image_size=32",
        "--workers=1",
    ]
    line = fails_in_one_line("write_tfrecords", *flags)
    assert "1" in line
    assert "--max_bad_media" in line
    done = run_script("write_tfrecords", *flags, "--max_bad_media=1")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "frames" / "manifest.json").read_text("utf-8"))
    assert [bad["video_id"] for bad in manifest["bad_media"]] == [broken.stem]
    assert manifest["bad_media"][0]["reason"]


def test_a_directory_that_is_no_corpus_is_named(fails_in_one_line, tmp_path):
    line = fails_in_one_line(
        "write_tfrecords", f"--corpus={tmp_path}", f"--output={tmp_path}/frames"
    )
    assert str(tmp_path) in line
