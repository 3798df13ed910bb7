import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.corpus.grid import in_pool
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import Corpus, CorpusWriter, table_of
from dc_keras.corpus.study import Challenge, Study
from dc_keras.errors import DataError

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
    grid = _STUDY.resolve(_corpus(tmp_path, _POSTS), support="included")
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
    grid = _STUDY.resolve(
        _corpus(tmp_path, _POSTS),
        support="included",
        support_order="views",
        support_max=2,
    )
    assert grid.support[0] == ("6", "1")


def test_a_cutoff_ends_what_is_seen_and_begins_the_labels(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    grid = _STUDY.resolve(corpus, support="included", cutoff=12)
    # Before 12 there are posts 1 and 2 only; u joined a before it, so that is no pair.
    assert grid.users == ("u",)
    np.testing.assert_array_equal(grid.observed, [[False, True]])
    np.testing.assert_array_equal(grid.labels, [[0, 1]])
    assert grid.histories == (("2",),)
    assert grid.support == (("1",), ())


def test_a_post_at_the_cutoff_is_a_label(tmp_path):
    grid = _STUDY.resolve(_corpus(tmp_path, _POSTS), support="included", cutoff=30)
    assert grid.labels[0, 1] == 1
    assert "5" not in grid.support[1]


def test_the_panel_rule_does_not_look_behind_the_cutoff(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    everything = _STUDY.resolve(corpus, support="included", min_participations=2)
    assert everything.users == ("u",)
    # At 26, u has joined a only; b comes later and must not choose the user.
    before = _STUDY.resolve(corpus, support="included", min_participations=1, cutoff=26)
    assert before.users == ("u", "v")
    with pytest.raises(DataError, match="no user is left for the panel"):
        _STUDY.resolve(corpus, support="included", min_participations=2, cutoff=26)


def test_users_with_short_histories_are_left_out_and_counted(tmp_path):
    grid = _STUDY.resolve(_corpus(tmp_path, _POSTS), support="included", history_min=2)
    assert grid.users == ("u",)
    assert grid.counts["users with too few posts"] == 2
    assert "left out, users with too few posts: 2" in grid.describe()


def test_a_post_without_a_date_makes_no_pair_under_a_cutoff(tmp_path):
    posts = [*_POSTS, _video(9, "v", None, music_id="7"), _video(10, "v", None)]
    grid = _STUDY.resolve(_corpus(tmp_path, posts), support="included", cutoff=29)
    assert grid.users == ("u", "v")
    np.testing.assert_array_equal(grid.observed, [[False, True], [False, False]])
    assert "10" not in grid.video_users
    assert grid.counts["posts without a date"] == 2


def test_without_a_cutoff_a_post_without_a_date_is_the_oldest(tmp_path):
    posts = [*_POSTS, _video(9, "v", None)]
    grid = _STUDY.resolve(_corpus(tmp_path, posts), support="included")
    assert grid.histories[1] == ("7", "9")


def test_the_pool_is_chosen_by_the_id_alone_and_has_the_asked_share():
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
def test_no_side_ever_sees_what_it_may_not(tmp_path_factory, posts, cutoff, support):
    videos = [
        _video(n, f"user{user}", time, *tags, music_id=sound)
        for n, (user, time, tags, sound) in enumerate(posts)
    ]
    corpus = _corpus(tmp_path_factory.mktemp("c"), videos)
    try:
        grid = _STUDY.resolve(corpus, support=support, cutoff=cutoff)
    except DataError as error:
        assert "no user is left" in str(error)
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
    first = _STUDY.resolve(corpus, support="included", cutoff=12)
    assert first.sha256 == _STUDY.resolve(corpus, support="included", cutoff=12).sha256
    assert first.sha256 != _STUDY.resolve(corpus, support="included").sha256
    manifest = json.loads(first.to_json())
    assert manifest["labels"] == [[None, 1]]
    assert manifest["histories"] == [["2"]]
    assert manifest["settings"]["cutoff"] == 12
    assert manifest["settings"]["support"] == "included"


def test_description_says_sizes_and_prevalence(tmp_path):
    text = _STUDY.resolve(_corpus(tmp_path, _POSTS), support="included").describe()
    assert "2 users × 2 challenges, 4 pairs, 3 (75.0%) joined" in text
    assert "a  2 of 2 joined, 3 posts describe it" in text


def test_the_order_of_rows_does_not_matter(tmp_path):
    corpus = _corpus(tmp_path, _POSTS)
    shuffled = Corpus.open(corpus.directory)
    shuffled.videos = corpus.videos.sample(fraction=1, shuffle=True, seed=1)
    grids = [_STUDY.resolve(c, support="included") for c in (corpus, shuffled)]
    assert grids[0].sha256 == grids[1].sha256


def test_an_unknown_support_rule_is_refused(tmp_path):
    with pytest.raises(
        DataError, match="`support` must be one of outside_panel, included"
    ):
        _STUDY.resolve(_corpus(tmp_path, _POSTS), support="all")


def test_an_empty_corpus_has_no_panel(tmp_path):
    with pytest.raises(DataError, match=r"no user is left .* num_users=0"):
        _STUDY.resolve(_corpus(tmp_path, []))


def test_ids_in_the_grid_are_plain_texts(tmp_path):
    grid = _STUDY.resolve(_corpus(tmp_path, _POSTS), support="included")
    assert not any(
        isinstance(ids, pl.Series) for ids in (*grid.support, *grid.histories)
    )
    assert type(grid.users[0]) is str
