import dataclasses

import numpy as np
import polars as pl
import pytest

from dc_keras.context.post_features import find_past, read_facts, read_pasts
from dc_keras.study.temporal import join_cutoffs


def _facts(make_study, *posts):
    grid, videos = make_study([[1]], histories=[posts])
    return read_facts(videos, grid)


def _terms(make_study, **post):
    return list(_facts(make_study, post).terms[0])


def test_terms_are_tags_words_the_sound_and_the_words_of_its_title(make_study):
    assert _terms(
        make_study,
        caption="So FUN, so good! #Dance #fyp",
        hashtags=("dance", "fyp"),
        music_id="77",
        music_title=" Blinding Lights ",
    ) == [
        *("#dance", "#fyp", "so", "fun", "so", "good"),
        *("sound:77", "title:blinding", "title:lights"),
    ]


def test_a_sound_without_an_id_goes_by_its_title(make_study):
    terms = _terms(make_study, music_title="Blinding Lights")
    assert terms == ["sound:blinding lights", "title:blinding", "title:lights"]


def test_title_of_an_original_sound_gives_no_terms(make_study):
    assert _terms(make_study, music_id="7", music_title="original sound") == ["sound:7"]


def test_a_post_without_anything_has_no_terms(make_study):
    assert _terms(make_study) == []


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("Ünïcode ÉTÉ", ["ünïcode", "été"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("踊る ダンス", ["踊る", "ダンス"]),
        # Vowel signs are combining marks, and belong to their words.
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("สวัสดี", ["สวัสดี"]),
        ("مرحبا بِكم", ["مرحبا", "بِكم"]),
        # Variation selectors and emojis are no words.
        ("❤️ 🔥", []),
    ],
)
def test_words_are_whole_in_every_script(make_study, caption, words):
    assert _terms(make_study, caption=caption) == words


@pytest.mark.parametrize("tag", ["fun", "été", "हिन्दी", "สวัสดี", "မြန်မာ", "مَرْحَبًا", "𑀓𑀸"])
def test_a_tag_is_not_read_twice(make_study, tag):
    for mark in "#＃":
        caption = f"a {mark}{tag} b"
        terms = _terms(make_study, caption=caption, hashtags=(tag,))
        assert terms == [f"#{tag}", "a", "b"]


def test_facts_are_as_in_the_corpus_and_minus_one_where_it_has_none(make_study):
    posts = _facts(
        make_study,
        {
            "caption": "été",
            "create_time": 1_600_000_000,
            **{"views": 9, "likes": 4, "comments": 2, "shares": 0},
            "duration_s": 2.5,
            "music_id": "7",
            "music_title": "originalton - somebody",
        },
        {},
    ).posts
    assert posts.captions.tolist() == ["été".encode(), b""]
    assert posts.sounds.tolist() == [b"7", b""]
    assert posts.sound_titles.tolist() == [b"originalton - somebody", b""]
    assert posts.create_times.dtype == np.int64
    assert posts.create_times.tolist() == [1_600_000_000, -1]
    assert posts.durations.dtype == posts.counts.dtype == np.float32
    assert posts.durations.tolist() == [2.5, -1]
    assert posts.counts.tolist() == [[9, 4, 2, 0], [-1] * 4]


def test_only_posts_of_a_grid_are_read(make_study):
    grid, videos = make_study(
        [[1], [0]],
        histories=[["a"], ["b", "c"]],
        support=[[("p", "d")]],
        pool={"p": ["e"]},
    )
    smaller = dataclasses.replace(
        grid, users=grid.users[:1], histories=grid.histories[:1]
    )
    assert read_facts(videos, grid).video_ids == (
        "c0-00",
        "p-00",
        "u00-00",
        "u01-00",
        "u01-01",
    )
    assert read_facts(videos, smaller).video_ids == ("c0-00", "p-00", "u00-00")
    # Two grids have the posts of both.
    assert read_facts(videos, smaller, grid).sha256 == read_facts(videos, grid).sha256


def test_rows_are_in_the_given_order(make_study):
    facts = _facts(make_study, "one", "two three", "four")
    assert facts.rows(["u00-02", "u00-00"]).tolist() == [2, 0]
    assert facts.rows([]).dtype == np.int64


@pytest.mark.parametrize(
    "change",
    [
        {"caption": "another"},
        *({name: 5} for name in ("views", "likes", "comments", "shares")),
        {"create_time": 5},
        {"duration_s": 5.0},
        {"hashtags": ("x",)},
        {"music_id": "5"},
        {"music_title": "original sound"},
    ],
)
def test_digest_changes_with_every_fact(make_study, change):
    post = {"caption": "one", "views": 4, "create_time": 4, "duration_s": 4.0}
    same, other = _facts(make_study, post), _facts(make_study, post | change)
    assert same.sha256 == _facts(make_study, dict(post)).sha256 != other.sha256


def test_a_grid_without_posts_has_no_facts(make_study):
    facts = _facts(make_study)
    assert (facts.video_ids, facts.posts.counts.shape) == ((), (0, 4))
    assert len(facts.sha256) == 64


def test_accounts_are_those_of_the_panel_as_far_as_known(make_study):
    grid, videos = make_study([[1], [0], [1]])
    users = pl.DataFrame(
        {
            "user_id": ["u00", "u01", "elsewhere"],
            "followers": [20, None, 7],
            "total_likes": [None, None, None],
            "total_posts": [3, None, 1],
        }
    )
    facts = read_facts(videos, grid, users=users)
    assert set(facts.accounts) == {"u00"}
    np.testing.assert_array_equal(facts.accounts["u00"], [20, np.nan, 3])
    assert facts.sha256 != read_facts(videos, grid).sha256


DAY = 86_400


@pytest.fixture(scope="module")
def grid_and_posts(make_study):
    """Two users at two cutoffs, days 10 and 20, and what they posted."""
    grid, _ = make_study([[1, 0], [0, 1]])
    posts = [
        ("a", "u00", 1),
        ("b", "u00", 4),
        ("c", "u00", 9),
        ("d", "u00", 10),
        ("e", "u00", 15),
        ("f", "u00", None),
        ("g", "u01", 12),
        ("h", "other", 2),
    ]
    schema = {"video_id": pl.String, "user_id": pl.String, "create_time": pl.Int64}
    videos = pl.DataFrame(
        [(v, u, None if day is None else day * DAY) for v, u, day in posts],
        schema=schema,
        orient="row",
    )
    return join_cutoffs([grid, grid], [10 * DAY, 20 * DAY]), videos


def _joins(*rows):
    return pl.DataFrame(
        rows, schema={"video_id": pl.String, "challenge": pl.String}, orient="row"
    )


def test_joins_posts_and_days_before_each_cutoff(grid_and_posts):
    grid, videos = grid_and_posts
    joins = _joins(
        ("b", "c0"), ("c", "c0"), ("d", "c1"), ("f", "c1"), ("a", "gone"), ("h", "c0")
    )
    pasts = read_pasts(videos, joins, [grid])
    # Repeated challenges count once; challenges outside the grid do not count.
    assert {key: row.tolist() for key, row in pasts.items()} == {
        ("u00", 10 * DAY): [1.0, 3.0, 9.0],
        ("u01", 10 * DAY): [0.0, 0.0, 0.0],
        ("u00", 20 * DAY): [2.0, 5.0, 19.0],
        ("u01", 20 * DAY): [0.0, 1.0, 8.0],
    }


def test_join_at_or_after_the_cutoff_does_not_count(grid_and_posts):
    grid, videos = grid_and_posts
    before, after = (
        read_pasts(videos, _joins(("a", "c0"), *later), [grid])
        for later in ([], [("d", "c1"), ("e", "c1")])
    )
    assert before["u00", 10 * DAY].tolist() == after["u00", 10 * DAY].tolist()
    assert before["u00", 20 * DAY].tolist() != after["u00", 20 * DAY].tolist()


def test_grids_without_cutoffs_have_no_past(make_study):
    grid, videos = make_study([[1, 0], [0, 1]], cutoff=10 * DAY)
    assert read_pasts(videos, _joins(), [grid]) == {}
    np.testing.assert_array_equal(find_past({}, grid), np.full((2, 3), np.nan))


def test_digest_of_the_facts_changes_with_the_past(make_study):
    grid, videos = make_study([[1, 0], [0, 1]])
    joined = join_cutoffs([grid], [10 * DAY])
    without, with_joins = (
        read_facts(videos, joined, joins=j) for j in (None, _joins())
    )
    assert without.sha256 != with_joins.sha256
