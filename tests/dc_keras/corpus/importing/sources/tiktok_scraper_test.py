import pytest

from dc_keras.corpus.importing.sources.post import Person
from dc_keras.corpus.importing.sources.tool_posts import TIKTOK_SCRAPER


def _post(**changes):
    post = {
        "id": "6871947673600000077",
        "text": "hi #Fun",
        "createTime": 1_600_000_000,
        "authorMeta": {"id": "5", "name": "ann", "nickName": "Ann", "secUid": "MS"},
        "musicMeta": {
            "musicId": "6740249209892505602",
            "musicName": "original sound",
            "musicAuthor": "Bo",
            "musicOriginal": True,
        },
        "videoMeta": {"duration": 13},
        "diggCount": 10,
        "shareCount": 2,
        "playCount": 100,
        "commentCount": 3,
        "hashtags": [{"id": "1", "name": "fun"}],
        "mentions": ["@bob"],
    } | changes
    return {key: value for key, value in post.items() if value is not None}


def test_a_complete_post_is_mapped_field_by_field():
    post = TIKTOK_SCRAPER.read(_post())
    assert (post.video_id, post.create_time) == ("6871947673600000077", 1_600_000_000)
    assert post.author == Person("5", "ann", "MS")
    assert (post.hashtags, post.mentions) == (("fun",), ("bob",))
    assert (post.music_id, post.music_is_original) == ("6740249209892505602", True)
    assert post.private_names == ("Ann", "Bo")
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, None)


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ("2020-09-13T12:26:40.000Z", 1_600_000_000),
        ("2020-09-13T14:26:40+02:00", 1_600_000_000),
        ("2020-09-13T12:26:40", None),  # of no zone
        ("yesterday", None),
    ],
)
def test_apify_writes_the_time_as_a_text(stamp, time):
    post = TIKTOK_SCRAPER.read(_post(createTime=None, createTimeISO=stamp))
    assert post.create_time == time
    doubts = {"malformed.create_time", "local.create_time"}
    assert bool(doubts & {*post.notes}) == (time is None)


def test_without_a_list_the_tags_come_from_the_caption():
    assert TIKTOK_SCRAPER.read(_post(hashtags=None)).hashtags == ("fun",)
    assert TIKTOK_SCRAPER.read(_post(hashtags=[])).hashtags == ()
