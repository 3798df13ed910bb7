import json
import shutil

import cv2
import numpy as np
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


def test_a_slide_that_cannot_be_read_is_counted_and_fails_nothing(
    run_script, tmp_path, key_file
):
    media, video_id = tmp_path / "media", "6871947673600000077"
    media.mkdir()
    cv2.imwrite(str(media / f"{video_id}_1.png"), np.zeros((9, 9, 3), np.uint8))
    (media / f"{video_id}_2.heic").write_bytes(b"no image")
    item = {"id": video_id, "author": "ann", "desc": "a", "imagePost": {"images": []}}
    (tmp_path / "a.json").write_text(json.dumps(item))
    corpus = f"--corpus={tmp_path}/corpus"
    export = [f"--input={tmp_path}/a.json", f"--media_root={media}", corpus]
    assert (
        run_script("import_corpus", *export, f"--key_file={key_file}").returncode == 0
    )
    flags = [corpus, f"--output={tmp_path}/frames", "--num_frames=2", "--image_size=32"]
    done = run_script("write_tfrecords", *flags, "--num_shards=1", "--workers=1")
    assert done.returncode == 0, done.stderr
    assert "  bad_slides: 1\n" in done.stdout
    manifest = json.loads((tmp_path / "frames" / "manifest.json").read_text("utf-8"))
    [bad] = manifest["bad_slides"]
    assert bad["video_id"] == video_id
    assert manifest["counts"]["with_frames"] == 1


def test_a_directory_without_a_corpus_is_reported(fails_in_one_line, tmp_path):
    line = fails_in_one_line(
        "write_tfrecords", f"--corpus={tmp_path}", f"--output={tmp_path}/frames"
    )
    assert str(tmp_path) in line


def test_a_media_root_that_is_not_there_is_reported_first(
    fails_in_one_line, corpus, tmp_path
):
    line = fails_in_one_line(
        "write_tfrecords",
        f"--corpus={corpus.output}",
        f"--output={tmp_path}/frames",
        f"--media_root={tmp_path}/nothing",
    )
    assert line.startswith("--media_root must be a directory")
    assert not list(tmp_path.iterdir())
