import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.corpus.records import Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.errors import DataError
from dc_keras.study.participation import Grid
from dc_keras.study.resolution import count_joined, in_pool, resolve_study
from dc_keras.study.study import Challenge, Study

_STUDY = Study(
    "s",
    (Challenge("a", hashtags=("a", "aa")), Challenge("b", sounds=("7",))),
    history_max=2,
    min_participations=0,
)


def _corpus(tmp_path, videos):
    with CorpusWriter(tmp_path) as writer:
        writer.add_videos(table_of(Video, videos).sort("video_id"))
        writer.finish([], key_fingerprint="f", media_root=None, num_quarantined=0)
    return Corpus.open(tmp_path)


def _video(number, user, time, *tags, **changes):
    video = Video(str(number), user, "s", create_time=time, hashtags=tags)
    return replace(video, **changes)


# u joins a at 10 and b at 30; v joins a at 20; w joins nothing and has no free post.
_POSTS = [
    _video(1, "u", 10, "a", "x", views=5),
    _video(2, "u", 11, "x"),
    _video(3, "u", 12, "y"),
    _video(4, "u", 12, "z"),
    _video(5, "u", 30, music_id="7"),
    _video(6, "v", 20, "aa", "a", views=9),
    _video(7, "v", 25),
    _video(8, "w", 21, "a", music_id="7"),
]


def test_the_papers_grid_labels_by_all_posts(tmp_path):
    grid = resolve_study(_STUDY, _corpus(tmp_path, _POSTS), support="included")
    assert grid.challenges == ("a", "b")
    assert grid.users == ("u", "v")
    assert grid.labels.dtype == np.int8
    np.testing.assert_array_equal(grid.labels, [[1, 1], [1, 0]])
    assert grid.observed.all()
    # Newest first, ties by id, two at most, no post of a challenge.
    assert grid.histories == (("3", "4"), ("7",))
    assert grid.support == (("8", "6", "1"), ("5", "8"))
    assert grid.video_users == {
        "1": "u", "3": "u", "4": "u", "5": "u", "6": "v", "7": "v", "8": "w"
    }  # fmt: skip


def test_support_by_views_and_at_most_n(tmp_path):
    grid = resolve_study(
        _STUDY,
        _corpus(tmp_path, _POSTS),
        support="included",
        support_order="views",
        support_max=2,
    )
    assert grid.support[0] == ("6", "1")


def test_cutoff_divides_input_posts_from_label_posts(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    grid = resolve_study(_STUDY, corpus, support="included", cutoff=12)
    # Before 12 there are posts 1 and 2 only; u joined a before it, so that is no pair.
    assert grid.users == ("u",)
    np.testing.assert_array_equal(grid.observed, [[False, True]])
    np.testing.assert_array_equal(grid.labels, [[0, 1]])
    assert grid.histories == (("2",),)
    assert grid.support == (("1",), ())


def test_a_post_at_the_cutoff_is_a_label(tmp_path):
    grid = resolve_study(
        _STUDY, _corpus(tmp_path, _POSTS), support="included", cutoff=30
    )
    assert grid.labels[0, 1] == 1
    assert "5" not in grid.support[1]


def test_panel_depends_on_posts_before_the_cutoff_only(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    everything = resolve_study(_STUDY, corpus, support="included", min_participations=2)
    assert everything.users == ("u",)
    # At 26, u has joined a only; b comes later and must not choose the user.
    before = resolve_study(
        _STUDY, corpus, support="included", min_participations=1, cutoff=26
    )
    assert before.users == ("u", "v")
    with pytest.raises(DataError, match="the panel must have at least one user"):
        resolve_study(
            _STUDY, corpus, support="included", min_participations=2, cutoff=26
        )


def test_users_with_short_histories_are_left_out_and_counted(tmp_path):
    grid = resolve_study(
        _STUDY, _corpus(tmp_path, _POSTS), support="included", history_min=2
    )
    assert grid.users == ("u",)
    assert grid.counts["users with too few posts"] == 2
    assert "left out, users with too few posts: 2" in grid.describe()


def test_a_post_without_a_date_makes_no_pair_under_a_cutoff(tmp_path):
    posts = [*_POSTS, _video(9, "v", None, music_id="7"), _video(10, "v", None)]
    grid = resolve_study(
        _STUDY, _corpus(tmp_path, posts), support="included", cutoff=29
    )
    assert grid.users == ("u", "v")
    np.testing.assert_array_equal(grid.observed, [[False, True], [False, False]])
    assert "10" not in grid.video_users
    assert grid.counts["posts without a date"] == 2


def test_without_a_cutoff_a_post_without_a_date_is_the_oldest(tmp_path):
    posts = [*_POSTS, _video(9, "v", None)]
    grid = resolve_study(_STUDY, _corpus(tmp_path, posts), support="included")
    assert grid.histories[1] == ("7", "9")


def test_pool_is_chosen_by_id_and_has_the_given_share():
    users = [f"user{number}" for number in range(4000)]
    share = sum(in_pool(user, 0.25) for user in users) / len(users)
    # The standard deviation is sqrt(.25 * .75 / 4000) = .007; 5 of them are .034.
    assert abs(share - 0.25) < 0.034
    assert all(in_pool(user, 0.5) for user in users if in_pool(user, 0.25))


_posts = st.lists(
    st.builds(
        lambda user, time, tags, sound: (user, time, tags, sound),
        st.integers(0, 12),
        st.none() | st.integers(0, 9),
        st.lists(st.sampled_from(["a", "aa", "x"]), unique=True),
        st.sampled_from([None, "7", "8"]),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(
    posts=_posts,
    cutoff=st.none() | st.integers(0, 9),
    support=st.sampled_from(["included", "outside_panel"]),
)
def test_neither_side_has_posts_that_reveal_labels(
    tmp_path_factory, posts, cutoff, support
):
    videos = [
        _video(n, f"user{user}", time, *tags, music_id=sound)
        for n, (user, time, tags, sound) in enumerate(posts)
    ]
    corpus = _corpus(tmp_path_factory.mktemp("c"), videos)
    try:
        grid = resolve_study(_STUDY, corpus, support=support, cutoff=cutoff)
    except DataError as error:
        assert re.search("the panel must have|must have posts of", str(error))
        return
    by_id = {video.video_id: video for video in videos}
    focal = {
        v.video_id for v in videos if {"a", "aa"} & {*v.hashtags} or v.music_id == "7"
    }
    shown = [*grid.histories, *grid.support]
    assert grid.video_users == {v: by_id[v].user_id for ids in shown for v in ids}
    for user, history in zip(grid.users, grid.histories, strict=True):
        assert 1 <= len(history) <= 2
        assert not focal & {*history}
        assert {by_id[v].user_id for v in history} == {user}
    assert {v for ids in grid.support for v in ids} <= focal
    if support == "outside_panel":
        supporters = {by_id[v].user_id for ids in grid.support for v in ids}
        assert not supporters & {*grid.users}
    if cutoff is not None:
        assert all(by_id[v].create_time < cutoff for ids in shown for v in ids)
    assert not grid.labels[~grid.observed].any()


def test_equal_grids_have_equal_manifests(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    first = resolve_study(_STUDY, corpus, support="included", cutoff=12)
    assert (
        first.sha256
        == resolve_study(_STUDY, corpus, support="included", cutoff=12).sha256
    )
    assert first.sha256 != resolve_study(_STUDY, corpus, support="included").sha256
    manifest = json.loads(first.to_json())
    assert manifest["labels"] == [[None, 1]]
    assert manifest["histories"] == [["2"]]
    assert manifest["settings"]["cutoff"] == 12
    assert manifest["settings"]["support"] == "included"


def test_description_has_sizes_and_prevalence(tmp_path):
    text = resolve_study(
        _STUDY, _corpus(tmp_path, _POSTS), support="included"
    ).describe()
    assert "2 users × 2 challenges, 4 pairs, 3 (75.0%) joined" in text
    assert "a  2 of 2 joined, 3 support posts" in text


def test_the_order_of_rows_does_not_matter(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    shuffled = Corpus.open(corpus.directory)
    shuffled.videos = corpus.videos.sample(fraction=1, shuffle=True, seed=1)
    grids = [resolve_study(_STUDY, c, support="included") for c in (corpus, shuffled)]
    assert grids[0].sha256 == grids[1].sha256


def test_an_unknown_support_rule_is_refused(tmp_path):
    with pytest.raises(
        DataError, match="`support` must be one of outside_panel, included"
    ):
        resolve_study(_STUDY, _corpus(tmp_path, _POSTS), support="all")


def test_an_empty_corpus_has_no_panel(tmp_path):
    with pytest.raises(DataError, match=r"the panel must have .* num_users=0"):
        resolve_study(_STUDY, _corpus(tmp_path, []))


def test_ids_in_the_grid_are_plain_texts(tmp_path):
    grid = resolve_study(_STUDY, _corpus(tmp_path, _POSTS), support="included")
    assert not any(
        isinstance(ids, pl.Series) for ids in (*grid.support, *grid.histories)
    )
    assert type(grid.users[0]) is str


def _pooled(tmp_path):
    """A grid, the three users of its pool who post, and the two of its panel."""
    names = [f"user{number}" for number in range(40)]
    pool = [name for name in names if in_pool(name, 0.25)][:3]
    panel = [name for name in names if not in_pool(name, 0.25)][:2]
    posts = [
        _video(1, pool[0], 1, "a"),
        *(_video(10 + number, pool[0], number) for number in range(4)),
        _video(2, pool[1], 2, "a"),
        _video(3, pool[2], 3),
        _video(4, panel[0], 4),
        _video(5, panel[0], 5, "a"),
        _video(6, panel[1], 6),
    ]
    grid = resolve_study(_STUDY, _corpus(tmp_path, posts), support="outside_panel")
    return grid, pool, panel


def test_users_of_the_pool_have_histories(tmp_path):
    grid, pool, panel = _pooled(tmp_path)
    assert grid.users == tuple(sorted(panel))
    # The second has no post but the challenge's.
    witnesses = {pool[0]: ("13", "12"), pool[2]: ("3",)}
    assert dict(zip(grid.pool_users, grid.pool_histories, strict=True)) == witnesses
    assert grid.pool_users == tuple(sorted(witnesses))
    assert grid.support == (("2", "1"), ())
    assert grid.counts["users who describe challenges"] == 3


def test_included_support_has_no_pool(tmp_path):
    grid = resolve_study(_STUDY, _corpus(tmp_path, _POSTS), support="included")
    assert grid.pool_users == grid.pool_histories == ()


@pytest.mark.parametrize("cutoff", [None, 12])
def test_a_grid_survives_its_json(tmp_path, cutoff):
    grid = resolve_study(
        _STUDY, _corpus(tmp_path, _POSTS), support="included", cutoff=cutoff
    )
    again = Grid.from_json(grid.to_json())
    assert again.sha256 == grid.sha256
    for name in ("users", "challenges", "histories", "support", "video_users"):
        assert getattr(again, name) == getattr(grid, name)
    for name in ("labels", "observed"):
        np.testing.assert_array_equal(getattr(again, name), getattr(grid, name))
        assert getattr(again, name).dtype == getattr(grid, name).dtype
    assert (again.settings, again.counts) == (grid.settings, grid.counts)


def test_a_pool_survives_its_json(tmp_path):
    grid, *_ = _pooled(tmp_path)
    again = Grid.from_json(grid.to_json())
    assert again.pool_users == grid.pool_users
    assert again.pool_histories == grid.pool_histories
    assert again.sha256 == grid.sha256


def test_a_grid_of_another_version_is_refused(tmp_path):
    grid = resolve_study(_STUDY, _corpus(tmp_path, _POSTS), support="included")
    parts = json.loads(grid.to_json())
    del parts["pool_users"], parts["user_cutoffs"]
    with pytest.raises(
        DataError, match=r"without pool_users, user_cutoffs: written by another version"
    ):
        Grid.from_json(json.dumps(parts))


@pytest.mark.parametrize("text", ["[]", "null", "7", "{}"])
def test_json_without_required_keys_is_refused(text):
    with pytest.raises(
        DataError, match=r"a grid must have challenge_cutoffs, .* without"
    ):
        Grid.from_json(text)


def test_invalid_json_is_refused():
    with pytest.raises(DataError, match="a grid must be JSON"):
        Grid.from_json("{")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", [[1, 1]]),
        ("labels", [[1, 1], [1]]),
        ("labels", [[1, 1], [1, 2]]),
        ("labels", [[1, 1], "10"]),
        ("labels", {}),
        ("labels", None),
        ("labels", [[1, []], [1, 1]]),
        ("histories", [["3"]]),
        ("support", []),
        ("support", 2),
        ("pool_histories", [["3"]]),
        ("user_cutoffs", [5]),
        ("challenge_cutoffs", [5, 5, 5]),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, name, value):
    grid = resolve_study(_STUDY, _corpus(tmp_path, _POSTS), support="included")
    parts = json.loads(grid.to_json()) | {name: value}
    with pytest.raises(DataError, match="must fit its users and challenges"):
        Grid.from_json(json.dumps(parts))


def test_the_base_rate_counts_authors_who_could_join(tmp_path):
    videos = _corpus(tmp_path, _POSTS).videos
    assert count_joined(_STUDY, videos, "a") == (3, 3)
    assert count_joined(_STUDY, videos, "b") == (2, 3)
    # u joined a before the cutoff, and is not asked again.
    later = _STUDY.with_settings(cutoff=15)
    assert count_joined(later, videos, "a") == (2, 2)
