import math
from dataclasses import replace

import numpy as np
import pytest

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import table_of
from dc_keras.errors import DataError
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import resolve_grid
from dc_keras.study.study import Challenge, Study
from dc_keras.study.temporal import join_cutoffs, label_ends, resolve_temporal

_DAY = 86_400
_STUDY = Study(
    "s",
    (Challenge("a", hashtags=("a",)), Challenge("b", hashtags=("b",))),
    min_participations=0,
    cutoff=100 * _DAY,
)


def _video(number, user, day, *tags):
    time = None if day is None else day * _DAY
    return Video(str(number), user, "s", create_time=time, hashtags=tags)


# Cutoffs 80, 90 and 100. u joins a in the first window and b in the last; v is there
# from day 85 on and joins a in the second; w posts too late for any; x has no date.
_POSTS = [
    _video(1, "u", 70),
    _video(2, "u", 80, "a"),
    _video(3, "u", 95),
    _video(4, "u", 109, "b"),
    _video(5, "u", 110, "a"),
    _video(6, "v", 85),
    _video(7, "v", 99, "a"),
    _video(8, "v", 111, "b"),
    _video(9, "w", 105),
    _video(10, "w", 106, "a"),
    _video(11, "x", None),
]


def _resolve(posts=None, study=_STUDY, horizon_days=10, num_past=2):
    videos = table_of(Video, _POSTS if posts is None else posts)
    return resolve_temporal(
        study, videos, "included", horizon_days=horizon_days, num_past=num_past
    )


def _block(grid, cutoff):
    """Users of a cutoff, their labels (None where there is no pair), and histories."""
    rows = np.flatnonzero(np.array(grid.user_cutoffs) == cutoff * _DAY)
    columns = np.flatnonzero(np.array(grid.challenge_cutoffs) == cutoff * _DAY)
    cells = [
        [int(grid.labels[r, c]) if grid.observed[r, c] else None for c in columns]
        for r in rows
    ]
    return (
        [grid.users[r] for r in rows],
        cells,
        [grid.histories[r] for r in rows],
        [grid.support[c] for c in columns],
    )


def test_labels_are_joins_within_a_horizon_of_each_cutoff():
    grid = _resolve()
    assert grid.user_cutoffs == tuple(day * _DAY for day in (80, 90, 90, 100, 100))
    assert grid.challenge_cutoffs == tuple(
        day * _DAY for day in (80, 80, 90, 90, 100, 100)
    )
    assert grid.challenges == ("a", "b") * 3
    # The window begins with the cutoff and ends before the next.
    assert _block(grid, 80)[:2] == (["u"], [[1, 0]])
    # There are no pairs for users who have joined.
    assert _block(grid, 90)[:2] == (["u", "v"], [[None, 0], [1, 0]])
    # Days 110 and 111 lie behind the last window.
    assert _block(grid, 100)[:2] == (["u", "v"], [[None, 1], [None, 0]])


def test_both_sides_have_posts_before_their_cutoff():
    grid = _resolve()
    assert _block(grid, 80)[2:] == ([("1",)], [(), ()])
    assert _block(grid, 90)[2:] == ([("1",), ("6",)], [("2",), ()])
    assert _block(grid, 100)[2:] == ([("3", "1"), ("6",)], [("7", "2"), ()])


def test_pairs_exist_within_a_cutoff_only():
    grid = _resolve()
    same = np.equal.outer(np.array(grid.user_cutoffs), np.array(grid.challenge_cutoffs))
    assert not grid.observed[~same].any()
    assert not grid.labels[~grid.observed].any()
    assert grid.observed[same].any()


def test_posts_after_a_label_window_do_not_change_it():
    whole = _resolve()
    early = _resolve([v for v in _POSTS if v.create_time and v.create_time < 90 * _DAY])
    # At 80, posts from day 90 on are unknown; at 90, v has not yet joined.
    assert _block(early, 80) == _block(whole, 80)
    assert _block(early, 90)[1] == [[None, 0], [0, 0]]


def test_the_last_cutoff_is_the_study_cut_at_its_horizon():
    known = table_of(Video, [v for v in _POSTS if (v.create_time or 0) < 110 * _DAY])
    last = resolve_grid(_STUDY, known, "included")
    assert _block(_resolve(), 100)[0] == list(last.users)
    assert _block(_resolve(), 100)[2] == list(last.histories)
    np.testing.assert_array_equal(_resolve().labels[-2:, -2:], last.labels)
    assert _resolve().counts == last.counts


def test_settings_have_all_cutoffs():
    settings = _resolve().settings
    assert settings["cutoff"] == 100 * _DAY
    assert settings["cutoffs"] == [80 * _DAY, 90 * _DAY, 100 * _DAY]


def test_a_joined_grid_survives_its_json():
    grid = _resolve()
    again = Grid.from_json(grid.to_json())
    assert again.to_json() == grid.to_json()
    assert again.user_cutoffs == grid.user_cutoffs
    assert again.challenge_cutoffs == grid.challenge_cutoffs
    np.testing.assert_array_equal(again.observed, grid.observed)


def test_users_who_describe_challenges_describe_them_at_every_cutoff():
    # The hash of the ids selects these of the forty users.
    posts = [
        *(_video(100 + n, f"user{n}", 70) for n in range(40)),
        *(_video(200 + n, f"user{n}", 75, "a") for n in range(40)),
        *(_video(300 + n, f"user{n}", 101, "b") for n in range(0, 40, 2)),
    ]
    grid = resolve_temporal(
        _STUDY, table_of(Video, posts), "outside_panel", horizon_days=10, num_past=1
    )
    assert grid.pool_users == grid.pool_histories == ()
    supporters = {grid.video_users[v] for ids in grid.support for v in ids}
    assert supporters
    assert not supporters & set(grid.users)
    assert len(supporters) + len(set(grid.users)) == 40


def test_one_challenge_and_one_person_are_enough():
    study = replace(_STUDY, challenges=_STUDY.challenges[:1])
    grid = _resolve(_POSTS[:5], study)
    assert (grid.users, grid.challenges) == (("u",) * 3, ("a",) * 3)
    # There is a pair at the first cutoff only.
    assert np.argwhere(grid.observed).tolist() == [[0, 0]]
    assert grid.labels[0, 0] == 1


def test_joining_one_grid_changes_nothing_but_its_name():
    alone = resolve_grid(_STUDY, table_of(Video, _POSTS), "included")
    joined = join_cutoffs([alone], [100 * _DAY])
    for name in ("users", "challenges", "histories", "support", "video_users"):
        assert getattr(joined, name) == getattr(alone, name)
    np.testing.assert_array_equal(joined.labels, alone.labels)
    np.testing.assert_array_equal(joined.observed, alone.observed)


def test_label_windows_end_at_the_next_cutoff_by_default():
    alone = resolve_grid(_STUDY, table_of(Video, _POSTS), "included")
    assert label_ends(join_cutoffs([alone] * 2, [5, 9])) == {5: 9, 9: math.inf}
    assert label_ends(join_cutoffs([alone] * 2, [5, 9], [10, 14])) == {5: 10, 9: 14}
    assert label_ends(alone) == {}


def test_a_study_without_a_cutoff_is_refused():
    with pytest.raises(DataError, match=r"temporal needs a `cutoff`.* Received: none"):
        _resolve(study=replace(_STUDY, cutoff=None))


@pytest.mark.parametrize("name", ["horizon_days", "num_past"])
def test_horizons_and_cutoffs_are_at_least_one(name):
    with pytest.raises(DataError, match=f"`{name}` must be at least 1. .*{name}=0$"):
        _resolve(**{name: 0})


def test_a_cutoff_before_anyone_posted_is_refused():
    with pytest.raises(DataError, match="the panel must have at least one user"):
        _resolve(num_past=4)


def test_a_cutoff_before_1970_is_refused():
    with pytest.raises(DataError, match="`cutoff` must be a whole number, at least 0"):
        _resolve(horizon_days=60)
