from types import SimpleNamespace

import polars as pl
import pytest

from dc_keras.study.challenge import Challenge
from dc_keras.study.study import Study
from pipelines._cli.raw_posts import KnownUsers

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
        {"user_id": _USERS, "followers": [10, None, 0], "total_posts": [5, None, None]}
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
    known = KnownUsers.of(corpus, _predictor(cutoff), _USERS)
    accounts = [(10, -1, 5), (-1, -1, -1), (0, -1, -1)]
    for user, account in zip(_USERS, accounts, strict=True):
        assert known.facts(user) == {
            "account": account,
            "joined": joined.get(user, []),
            "now": now,
        }
