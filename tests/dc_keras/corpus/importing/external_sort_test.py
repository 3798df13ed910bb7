import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.corpus.importing import external_sort
from dc_keras.corpus.importing.external_sort import ORDER, PostSorter
from dc_keras.corpus.records import Video
from dc_keras.corpus.store import rows_of, table_of


@pytest.fixture
def small(monkeypatch):
    """Sets parts of 5 posts, ranges of 4 posts and prefixes of 2 digits."""
    monkeypatch.setattr(external_sort, "_BYTES_A_PART", 550)
    monkeypatch.setattr(external_sort, "_POSTS_A_RANGE", 4)
    monkeypatch.setattr(external_sort, "_PREFIX", 2)


def _post(video_id, source="s"):
    return Video(str(video_id), "u", source, hashtags=("a",))


def _filled(directory, posts):
    filled = PostSorter(directory)
    for post in posts:
        filled.add(table_of(Video, [post]))
    return filled


def test_posts_come_back_sorted_in_ranges(tmp_path, small):
    ids = [100 + n for n in range(40)]
    random.Random(0).shuffle(ids)
    tables = list(_filled(tmp_path, map(_post, ids)).tables())
    assert len(tables) == 4  # 10x, 11x, 12x, 13x: ten ids each, more than a range
    found = [video for table in tables for video in rows_of(Video, table)]
    assert found == [_post(100 + n) for n in range(40)]


def test_exports_of_one_post_are_adjacent_and_in_order(tmp_path, small):
    posts = [_post(7, f"s{n}") for n in range(12)]
    [table] = _filled(tmp_path, posts).tables()
    assert list(rows_of(Video, table)) == posts
    assert table[ORDER].to_list() == list(range(12))


def test_existing_posts_are_the_oldest(tmp_path, small):
    table_of(Video, [_post(1, "old"), _post(5, "old")]).write_parquet(
        tmp_path / "known"
    )
    filled = PostSorter(tmp_path)
    filled.add(table_of(Video, [_post(1, "new")]))
    filled.add_existing(tmp_path / "known")
    [table] = filled.tables()
    found = [(v.video_id, v.source) for v in rows_of(Video, table)]
    assert found == [("1", "old"), ("1", "new"), ("5", "old")]
    assert table[ORDER].to_list() == [-1, 0, -1]


def test_ids_can_be_looked_up_before_reading(tmp_path, small):
    filled = _filled(tmp_path, map(_post, range(8)))
    assert filled.ids_among({"3", "7", "9", "x"}) == {"3", "7"}


def test_an_empty_sorter_yields_no_table(tmp_path):
    filled = PostSorter(tmp_path)
    assert list(filled.tables()) == []
    assert filled.ids_among({"1"}) == set()


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(st.integers(0, 3000).map(str), max_size=40))
def test_no_post_is_lost_or_duplicated(tmp_path_factory, ids):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_BYTES_A_PART", 550), ("_POSTS_A_RANGE", 4)):
            patch.setattr(external_sort, name, value)
        filled = _filled(tmp_path_factory.mktemp("sorter"), map(_post, ids))
        found = [i for table in filled.tables() for i in table["video_id"]]
    assert found == sorted(ids)
