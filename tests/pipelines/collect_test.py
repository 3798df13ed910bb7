import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from fake_platform import EXECUTABLE, TOKEN

_ROOT = Path(__file__).parents[2]


def _run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ
        | {"TIKTOK_MS_TOKEN": TOKEN, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def collect(tmp_path):
    """Runs the script on the fake platform of `run_collect`."""
    pytest.importorskip("TikTokApi", reason="the extra `collect` is not installed")
    if EXECUTABLE is None:
        pytest.skip("Chromium is not installed (Debian, Ubuntu: apt install chromium)")
    code = "import fake_platform; fake_platform.run_collect()"
    return partial(_run, "-c", code, f"--output={tmp_path}", "--interval=0.01")


def test_collected_and_missing_posts_are_reported(collect, tmp_path):
    done = collect(
        *("--hashtag=../../x", "--sound=7", "--user=ann", "--media"),
        *("--seed_user=blocked", "--group_size=3"),
    )
    assert done.returncode == 1, done.stderr
    media = "    media: {} downloaded, 0 already present, 0 slideshows without a video, {} missing"
    assert done.stdout.splitlines() == [
        "suggested blocked: 0 of 3 users: an empty answer: probably blocked",
        "hashtag ../../x: 5 of 100 posts: the platform has no more",
        media.format(5, 0),
        "user ann: 2 of 100 posts: the platform has no more",
        media.format(1, 1),
        "    6870000000000000011: HTTP 403",
        "sound 7: 0 of 100 posts: a captcha page instead of JSON",
        media.format(0, 0),
        f"{tmp_path}: 1 of 4 complete",
    ]
    assert "hashtag ../../x: 3 of 100 posts\n" in done.stderr
    assert done.stderr.endswith(
        "3 incomplete; run the same command again to continue\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "details", "media"}
    saved = b"".join(path.read_bytes() for path in tmp_path.rglob("*.*"))
    assert TOKEN.rstrip("=") not in f"{done.stdout}{done.stderr}{saved}"


def test_a_complete_collection_may_have_fewer_posts_than_requested(
    collect, run_script, tmp_path
):
    done = collect("--seed_user=seed", "--group_size=3", "--count=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "suggested seed: 1 of 3 users: the platform has no more",
        "user ann: 2 of 2 posts",
        f"{tmp_path}: 2 of 2 complete",
    ]
    # And it can be imported as it lies there.
    done = run_script(
        "import_corpus",
        f"--input={tmp_path}/raw/*.ndjson",
        f"--corpus={tmp_path}/corpus",
        f"--key_file={tmp_path}/key",
    )
    assert "web_item: 2 given = 2 imported" in done.stdout
    ties = pl.read_parquet(tmp_path / "corpus" / "ties.parquet")
    assert ties["user_id"].null_count() == 0  # each says for whom it was
    assert set(ties["target_type"]) == {"user", "hashtag", "sound"}


def test_errors_are_one_line(tmp_path):
    done = _run("-m", "pipelines.collect", f"--output={tmp_path}", "--seed_user=ann")
    assert (done.returncode, done.stderr) == (
        1,
        "collect: error: `seed_user` and `group_size` must be given together. "
        "Received: seed_user=ann, group_size=None\n",
    )
