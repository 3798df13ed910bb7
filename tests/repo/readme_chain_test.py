"""The six tasks of the README, command by command.

Once on real items and real clips, where there are some; and once as they are printed, by
a shell in a fresh environment, on a simulated world.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT.parent / "shared" / "data"
_EXPORTS = (
    "web_item_list.json",
    "web_user_videos_2020.json",
    "share_item_hashtag_2020.json",
)
# Two of the 23 authors posted more than once; what they joined, so little data allow.
_STUDY = """
[study]
name = "real items"
min_participations = 0
history_max = 3
[challenges.trend]
hashtags = ["trend"]
[challenges.trwnd]
hashtags = ["trwnd"]
[challenges.moana]
hashtags = ["moana"]
[challenges.work]
hashtags = ["throughthework"]
[challenges.quarantine]
hashtags = ["quarantinelife"]
[challenges.home]
hashtags = ["happyathome"]
[challenges.rock]
hashtags = ["rockreacts"]
[challenges.occasions]
hashtags = ["hbdchallenge", "cincodemayo"]
"""
# What makes the commands small; the last flag of a name counts.
_SMALL = {
    "write_tfrecords": ["--num_frames=2", "--image_size=32", "--workers=1"],
    "extract_features": ["--vision_weights=random"],
    "evaluate": [
        "--models=deepChallenger",
        "--models=simple",
        "--num_folds=1",
        "--seeds=1",
        "--epochs=1",
    ],
    "train": ["--epochs=1"],
    # No challenge has ten participants to learn from.
    "reach": ["--contagion=0.5"],
}
_SUPPORT = "--support=included"

pytestmark = pytest.mark.long


def _tasks():
    return (_ROOT / "README.md").read_text("utf-8").partition("## Six tasks")[2]


def _commands():
    command = r"^python -m pipelines\.(\w+)((?:[^\n\\]|\\\n)*)"
    found = re.findall(command, _tasks(), re.M)
    return [(name, shlex.split(flags.replace("\\\n", " "))) for name, flags in found]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory as the README finds it: exports, media, a Study."""
    place = tmp_path_factory.mktemp("readme")
    for name in ("exports", "media", "studies"):
        (place / name).mkdir()
    for name in _EXPORTS:
        shutil.copy(_DATA / "raw" / name, place / "exports")
    # The order of users, and so each fold, follows the key.
    (place / "pseudonym.key").write_text("00" * 32)
    (place / "pseudonym.key").chmod(0o600)
    (place / "studies" / "paper.toml").write_text(_STUDY, "utf-8")
    clips = sorted(
        path for path in (_DATA / "clips").iterdir() if path.suffix in (".mp4", ".avi")
    )
    # An item of either shape names its post by a string of 19 digits.
    text = "".join((_DATA / "raw" / name).read_text("utf-8") for name in _EXPORTS)
    videos = sorted(set(re.findall(r'"id": ?"(\d{19})"', text)))
    for number, video in enumerate(videos):
        clip = clips[number % len(clips)]
        (place / "media" / f"{video}{clip.suffix}").symlink_to(clip)
    return place


@pytest.mark.skipif(
    not _DATA.is_dir(), reason="shared/data, with real items and clips, is absent"
)
def test_the_readmes_commands_lead_from_exports_to_answers(
    place, run_script, tiny_preset
):
    names = []
    for name, flags in _commands():
        asked = [
            re.sub(r"keras_nlp:\w+", f"keras_nlp:{tiny_preset}", flag)
            for flag in flags
            if not flag.startswith(("--split=", "--user=", "--challenge="))
        ]
        if name in ("evaluate", "train"):
            asked.append(_SUPPORT)
        if name == "explain":
            user, challenge, _ = pl.read_csv(place / "run/predictions.csv").row(0)
            asked += [f"--user={user}", f"--challenge={challenge}"]
        done = run_script(name, *asked, *_SMALL.get(name, []), cwd=place)
        assert done.returncode == 0, (name, done.stderr)
        names.append(name)
        if name == "import_corpus":
            assert (
                "all: 40 given = 40 imported + 0 merged + 0 quarantined" in done.stdout
            )
            assert "media: 40 posts with a video" in done.stdout
    assert names == [
        "import_corpus",
        "write_tfrecords",
        "verify_tfrecords",
        "extract_features",
        "extract_features",
        "evaluate",
        "report",
        "train",
        "export_model",
        "predict",
        "rank",
        "explain",
        "build_graph",
        "survey_graph",
        "reach",
    ]
    predictions = pl.read_csv(place / "run" / "predictions.csv")
    assert predictions["challenge"].n_unique() == 8
    assert predictions["user_id"].n_unique() > 15
    assert predictions["probability"].is_between(0, 1).all()


_CHECKOUT = (
    *("dc_keras", "tfrecords", "pipelines"),
    *("pyproject.toml", "setup.py", "README.md", "LICENSE"),
)
# Functions of the shell that stand before two programs: a script gets flags that make it
# small, and TensorBoard, which serves without end, is stopped.
_SHELL = """
set -eu
tensorboard() {
  timeout 20 tensorboard "$@" --host=127.0.0.1 --port=0 || [ $? = 124 ]
}
python() {
  set -- "$@" $(sed -n "s/^${2#pipelines.} //p" small.txt)
  command python "$@"
}
"""


@pytest.fixture(scope="module")
def checkout(run_script, tmp_path_factory):
    """A checkout without an environment, and a world under the README's names."""
    world = tmp_path_factory.mktemp("world")
    done = run_script("simulate", f"--output={world}", "--users=60", "--challenges=4")
    assert done.returncode == 0, done.stderr
    place = tmp_path_factory.mktemp("checkout")
    for name in _CHECKOUT:
        copy = shutil.copytree if (_ROOT / name).is_dir() else shutil.copy
        copy(_ROOT / name, place / name)
    for name in ("exports", "studies"):
        (place / name).mkdir()
    (place / "media").symlink_to(world / "media")
    items = (world / "items.ndjson").read_text("utf-8")
    # The README asks about a user and a challenge.
    [(handle, _)] = Counter(re.findall(r'"uniqueId": "([^"]+)"', items)).most_common(1)
    items = items.replace(f'"uniqueId": "{handle}"', '"uniqueId": "dancer.x"')
    (place / "exports" / "items.json").write_text(items, "utf-8")
    study = (world / "study.toml").read_text("utf-8")
    study = re.sub(r"\[challenges\.\w+\]", "[challenges.distancedance]", study, count=1)
    (place / "studies" / "paper.toml").write_text(study, "utf-8")
    # Users are held out as well, which takes two folds.
    small = {**_SMALL, "evaluate": [*_SMALL["evaluate"], "--num_folds=2"]}
    lines = (f"{name} {' '.join(flags)}\n" for name, flags in small.items())
    (place / "small.txt").write_text("".join(lines), "utf-8")
    return place


def test_the_readmes_blocks_run_as_printed_in_a_fresh_environment(
    checkout, tiny_preset
):
    blocks = re.findall(r"^```bash\n(.*?)^```$", _tasks(), re.M | re.S)
    # A preset by name would be downloaded.
    printed = re.sub(r"keras_nlp:\w+", f"keras_nlp:{tiny_preset}", "".join(blocks))
    python = Path(sys._base_executable).resolve().parent
    kept = ("HOME", "LANG", "TMPDIR")
    environment = {k: v for k, v in os.environ.items() if k in kept or "PIP" in k}
    done = subprocess.run(
        ["bash", "-c", _SHELL + printed],
        cwd=checkout,
        env={**environment, "PATH": f"{python}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    predictions = pl.read_csv(checkout / "run" / "predictions.csv")
    assert predictions["challenge"].to_list() == ["distancedance"]
    pages = ("evaluation/report", "explanation/explanation", "survey/survey")
    for page in pages:
        assert (checkout / "run" / f"{page}.html").is_file()
