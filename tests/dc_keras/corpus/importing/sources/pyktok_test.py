import pytest

from dc_keras.corpus.importing.sources.post import Row
from dc_keras.corpus.importing.sources.tool_posts import PYKTOK, TRAKTOK

_ID = "6871947673600000077"
_PYKTOK = Row(
    video_id=_ID,
    video_timestamp="2020-09-13T05:26:40",
    video_duration="13",
    video_locationcreated="SG",
    video_diggcount="10",
    video_sharecount="2",
    video_commentcount="3",
    video_playcount="100.0",
    video_description="hi #Fun#two.",
    author_username="ann",
    author_name="Ann",
    author_verified="{'id': '5', 'uniqueId': 'ann'}",
)
_TRAKTOK = Row(
    video_id=_ID,
    video_timestamp="2020-09-13T12:26:40Z",
    video_length="13",
    video_title="hi #Fun",
    video_diggcount="10",
    video_sharecount="2",
    video_commentcount="3",
    video_playcount="100",
    author_name="ann",
    music="BOP",
    challenges="fun, two",
)


@pytest.mark.parametrize(
    ("row", "tags", "title", "region"),
    [
        (_PYKTOK, ("fun", "two"), None, "SG"),
        (_TRAKTOK, ("fun", "fun", "two"), "BOP", None),
    ],
)
def test_a_complete_row_is_mapped_field_by_field(row, tags, title, region):
    post = PYKTOK.read(row)
    assert (post.video_id, post.author.handle) == (_ID, "ann")
    assert (post.hashtags, post.music_title) == (tags, title)
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, None)
    assert (post.duration_s, post.region) == (13, region)


@pytest.mark.parametrize("row", [_PYKTOK, _TRAKTOK])
def test_the_local_time_is_ignored_and_noted(row):
    post = PYKTOK.read(row)
    assert post.create_time is None
    assert "local.create_time" in post.notes


def test_the_two_tables_are_distinguished():
    assert PYKTOK.matches(_PYKTOK)
    assert not TRAKTOK.matches(_PYKTOK)
    assert TRAKTOK.matches(_TRAKTOK)
    assert not PYKTOK.matches(_TRAKTOK)
