import shutil
from types import SimpleNamespace

import polars as pl
import pytest

from dc_keras.corpus.records import Video
from dc_keras.errors import DataError
from dc_keras.study.challenge import Challenge
from dc_keras.study.study import Study
from pipelines._cli.raw_posts import of_challenge, of_users, of_videos, read_facts
from tfrecords import decoding_process
from tfrecords.decoding_process import DecodingProcess

_USERS = ["u_a", "u_b", "u_c"]


@pytest.fixture
def corpus():
    """Three users; u_a joins "dance" early and "cats" late, u_b at an unknown time."""
    videos = pl.DataFrame(
        {
            "video_id": ["1", "2", "3", "4"],
            "user_id": ["u_a", "u_a", "u_b", "u_c"],
            "hashtags": [["dance"], ["cats"], ["dance"], ["fyp"]],
            "music_id": [None, None, None, "7"],
            "create_time": [100, 300, None, 100],
        },
        schema_overrides={"music_id": pl.String},
    )
    users = pl.DataFrame(
        {
            "user_id": _USERS,
            "followers": [10, None, 0],
            "total_likes": [None] * 3,
            "total_posts": [5, None, None],
        },
        schema_overrides={"total_likes": pl.Int64},
    )
    return SimpleNamespace(videos=videos, users=users)


def _predictor(cutoff):
    challenges = (
        Challenge("dance", hashtags=("dance",)),
        Challenge("cats", hashtags=("cats",)),
    )
    return SimpleNamespace(study=Study("s", challenges, cutoff=cutoff))


@pytest.mark.parametrize(
    ("cutoff", "joined", "now"),
    [
        (None, {"u_a": ["cats", "dance"], "u_b": ["dance"]}, -1),
        (200, {"u_a": ["dance"]}, 200),
    ],
)
def test_users_are_known_as_far_as_the_corpus_knows_them(corpus, cutoff, joined, now):
    facts = read_facts(corpus, _predictor(cutoff), _USERS)
    accounts = [(10, -1, 5), (-1, -1, -1), (0, -1, -1)]
    for user, account in zip(_USERS, accounts, strict=True):
        assert facts[user] == {
            "account": account,
            "joined": joined.get(user, []),
            "now": now,
        }


_SAMPLING = {"num_frames": 2, "image_size": 32, "repeat": "nearest"}


@pytest.fixture
def media(world, tmp_path, monkeypatch):
    """A clip, and a copy that crashes the decoder."""
    monkeypatch.setattr(decoding_process, "_SERVER", "crashing_decoder")
    clip = min(world.output.rglob("*.mp4"))
    for name in ("good.mp4", "crash.mp4"):
        shutil.copy(clip, tmp_path / name)
    return tmp_path


@pytest.fixture
def videos():
    names = {"3": "good.mp4", "4": "crash.mp4", "5": "good.mp4"}
    return [Video(v, "u_a", "test", media_path=name) for v, name in names.items()]


def test_a_post_that_crashes_the_decoder_is_named_and_has_no_frames(
    corpus, media, videos, capfd
):
    def find_videos(ids):
        return [video for video in videos if video.video_id in ids]

    known = SimpleNamespace(**vars(corpus), find_videos=find_videos)
    predictor = SimpleNamespace(**vars(_predictor(None)), sampling=_SAMPLING)
    histories = {"u_a": ["3", "4", "5"]}
    [(_, [user])] = of_users(known, histories, str(media), predictor)
    assert [len(post.jpegs) for post in user.posts] == [2, 0, 2]
    told = "post 4 counts without frames: crash.mp4: crashes the decoder\n"
    assert told in capfd.readouterr().err
    with DecodingProcess() as process:
        posts = of_videos([*videos, None], media, _SAMPLING, process.sample)
    assert [len(post.jpegs) for post in posts] == [2, 0, 2, 0]
    assert posts[3].caption == ""
    assert told in capfd.readouterr().err


def test_a_sample_video_that_crashes_the_decoder_is_one_line(media):
    good, bad = str(media / "good.mp4"), str(media / "crash.mp4")
    config = {"sides": {"challenge": {"sampling": _SAMPLING}}}
    [post] = of_challenge("spin", [good], config)
    assert (post.caption, len(post.jpegs)) == ("spin", 2)
    with pytest.raises(DataError, match=r"crash\.mp4: crashes the decoder"):
        of_challenge("spin", [good, bad], config)
