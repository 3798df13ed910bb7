import pytest

from dc_keras.corpus.importing.sources.post import Row, UnreadablePostError
from dc_keras.corpus.importing.sources.tool_posts import FOURCAT_CSV


def _row(**changes):
    return Row(
        {
            "id": "6871947673600000077",
            "author": "ann",
            "author_full": "Ann",
            "body": "hi #Fun",
            "unix_timestamp": "1600000000",
            "is_duet": "no",
            "music_name": "BOP",
            "music_id": "6740249209892505602",
            "music_author": "Bo",
            "likes": "10",
            "comments": "3",
            "shares": "2",
            "plays": "100",
            "hashtags": "Fun, two",
            "challenges": "fun",
            "location_created": "SG",
            "effects": "blur,glow",
        }
        | changes
    )


def test_a_complete_row_is_mapped_field_by_field():
    post = FOURCAT_CSV.read(_row())
    assert (post.video_id, post.create_time) == ("6871947673600000077", 1_600_000_000)
    assert (post.author.user_id, post.author.handle) == (None, "ann")
    assert post.hashtags == ("Fun", "two", "fun")
    assert (post.music_id, post.music_title) == ("6740249209892505602", "BOP")
    assert post.private_names == ("Ann", "Bo")
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, None)
    assert (post.effects, post.region, post.notes) == (("blur", "glow"), "SG", ())


def test_a_hashed_author_is_kept():
    assert FOURCAT_CSV.read(_row(author="9f86d081884c")).author.handle == "9f86d081884c"


def test_a_redacted_author_is_none():
    with pytest.raises(UnreadablePostError, match="without an author"):
        FOURCAT_CSV.read(_row(author="REDACTED"))


def test_a_duet_without_its_original_is_noted():
    post = FOURCAT_CSV.read(_row(is_duet="yes"))
    assert (post.duet_of, post.notes) == (None, ("missing.duet_of",))


def test_an_id_rounded_by_a_spreadsheet_is_refused():
    with pytest.raises(UnreadablePostError, match="spreadsheet, which keeps 15 digits"):
        FOURCAT_CSV.read(_row(id="6871947673600010000"))
    with pytest.raises(UnreadablePostError, match="passed through a float"):
        FOURCAT_CSV.read(_row(id="6.87195E+18"))
