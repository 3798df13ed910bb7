"""The six tasks of the README, command by command, on real items and real clips."""

import re
import shlex
import shutil
from pathlib import Path

import polars as pl
import pytest

_ROOT = Path(__file__).parents[2]
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

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not _DATA.is_dir(), reason="shared/data, with real items and clips, is absent"
    ),
]


def _commands():
    text = (_ROOT / "README.md").read_text("utf-8").partition("## Six tasks")[2]
    found = re.findall(r"^python -m pipelines\.(\w+)((?:[^\n\\]|\\\n)*)", text, re.M)
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
