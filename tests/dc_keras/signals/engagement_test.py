from dataclasses import replace

import numpy as np
import pytest

from dc_keras.signals.engagement import accounts, challenge_habits, user_habits

_DAY = 86_400
_POSTS = [
    {
        **{"views": 100, "likes": 10, "comments": 5, "shares": 1},
        "duration_s": 10.0,
        "create_time": 100 * _DAY,
        "hashtags": ("a", "b"),
        "music_title": "original sound",
    },
    {
        **{"views": 300, "likes": 60, "comments": 6},
        "duration_s": 20.0,
        "create_time": 109 * _DAY,
    },
]
_HABITS = {
    "log_views": np.log1p(200),
    "log_likes": np.log1p(35),
    "likes_per_view": 0.15,  # .1 and .2
    "comments_per_like": 0.3,  # .5 and .1
    "shares_per_like": 0.1,  # .1 and unknown
    "duration": 15.0,
    "duration_spread": 5.0,
    "num_tags": 1.0,
    "share_without_tags": 0.5,
    "share_original": 0.5,
    "log_days": np.log1p(9),
}


def test_habits_by_hand(make_evidence):
    evidence = make_evidence(
        [[1, 0]], histories=[_POSTS], support=[[], [("p", post) for post in _POSTS]]
    )
    of_users, of_challenges = user_habits(evidence), challenge_habits(evidence)
    assert {k: v[0] for k, v in of_users.items()} == pytest.approx(_HABITS)
    assert {k: v[1] for k, v in of_challenges.items()} == pytest.approx(_HABITS)
    assert all(len(v) == 2 for v in of_challenges.values())


def test_who_has_no_post_is_unknown(make_evidence):
    evidence = make_evidence([[1], [0]], histories=[_POSTS, []])
    for name, values in user_habits(evidence).items():
        assert not np.isnan(values[0]), name
        assert np.isnan(values[1]), name


def test_unknown_counts_and_dates_are_nan_and_the_rest_is_known(make_evidence):
    habits = user_habits(make_evidence([[1], [0]], histories=[[{}], [{}, {}]]))
    known = {name for name, values in habits.items() if not np.isnan(values).any()}
    assert known == {"num_tags", "share_without_tags", "share_original"}
    assert habits["share_without_tags"].tolist() == [1.0, 1.0]


def test_nothing_is_divided_by_zero(make_evidence):
    post = {"views": 0, "likes": 0, "comments": 2, "shares": 0}
    habits = user_habits(make_evidence([[1], [0]], histories=[[post], []]))
    assert habits["likes_per_view"][0] == 0.0
    assert habits["comments_per_like"][0] == 2.0
    assert habits["shares_per_like"][0] == 0.0


def test_accounts_by_hand(make_evidence):
    evidence = make_evidence([[1], [0]])
    counts = np.array([[200.0, 1000.0, np.nan], [np.nan] * 3])
    found = accounts(replace(evidence, accounts=counts))
    assert np.expm1(found["followers"]) == pytest.approx([200, np.nan], nan_ok=True)
    assert np.expm1(found["total_likes"]) == pytest.approx([1000, np.nan], nan_ok=True)
    assert np.isnan(found["total_posts"]).all()
