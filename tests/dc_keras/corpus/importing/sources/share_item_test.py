import pytest

from dc_keras.corpus.importing.sources.platform_posts import SHARE_ITEM
from dc_keras.corpus.importing.sources.post import UnreadablePostError


def _item(**changes):
    infos = {
        "id": "6871947673600000077",
        "text": "hi #Fun",
        "createTime": "1600000000",
        "playCount": 100,
        "diggCount": 10,
        "commentCount": 3,
        "shareCount": 2,
        "musicId": "6740249209892505602",
        "video": {"videoMeta": {"duration": 11}},
    } | changes
    return {
        "itemInfos": infos,
        "authorInfos": {"userId": "5", "uniqueId": "ann", "secUid": "MS"},
        "musicInfos": {"musicId": "6740249209892505602", "musicName": "BOP"},
        "challengeInfoList": [{"challengeName": "found"}],
        "textExtra": [{"HashtagName": "Fun"}, {"HashtagName": "", "UserId": "7"}],
        "duetInfo": "0",
    }


def test_a_complete_item_is_mapped_field_by_field():
    post = SHARE_ITEM.read(_item())
    assert (post.video_id, post.create_time) == ("6871947673600000077", 1_600_000_000)
    assert (post.author.user_id, post.author.handle, post.author.sec_uid) == (
        "5",
        "ann",
        "MS",
    )
    assert (post.caption, post.hashtags) == ("hi #Fun", ("Fun", "found"))
    assert (post.music_id, post.music_title) == ("6740249209892505602", "BOP")
    assert (post.views, post.likes, post.comments, post.shares) == (100, 10, 3, 2)
    assert (post.duration_s, post.saves, post.duet_of) == (11.0, None, None)
    assert post.notes == ()


def test_the_author_id_may_be_in_the_item():
    item = _item(authorId="9") | {"authorInfos": {}}
    assert SHARE_ITEM.read(item).author.user_id == "9"


def test_without_links_the_tags_come_from_the_caption():
    item = _item()
    del item["textExtra"]
    assert SHARE_ITEM.read(item).hashtags == ("fun", "found")


def test_a_duet_is_kept():
    post = SHARE_ITEM.read(_item() | {"duetInfo": "6871947673600000001"})
    assert post.duet_of == "6871947673600000001"


def test_a_missing_author_is_rejected():
    item = _item()
    del item["authorInfos"]
    with pytest.raises(UnreadablePostError, match="a post without an author"):
        SHARE_ITEM.read(item)
