import pytest

from dc_keras.corpus.importing.sources.platform_posts import AWEME
from dc_keras.corpus.importing.sources.post import UnreadablePostError


def _item(**changes):
    item = {
        "aweme_id": "6871947673600000077",
        "desc": "hi #Fun",
        "create_time": 1_600_000_000,
        "author": {"uid": "5", "unique_id": "ann", "sec_uid": "MS", "nickname": "Ann"},
        "music": {"mid": "6740249209892505602", "title": "BOP", "author": "Bo"},
        "video": {"duration": 13_560},
        "statistics": {
            "play_count": 100,
            "digg_count": 10,
            "comment_count": 3,
            "share_count": 2,
            "collect_count": 1,
        },
        "text_extra": [{"hashtag_name": "fun"}, {"user_id": "7"}],
        "cha_list": [{"cha_name": "found"}],
        "duet_info": {"original_item_id": "6871947673600000001"},
        "region": "SG",
        "desc_language": "en",
    } | changes
    return {key: value for key, value in item.items() if value is not None}


def test_a_complete_item_is_mapped_field_by_field():
    post = AWEME.read(_item())
    assert post.video_id == "6871947673600000077"
    assert (post.author.user_id, post.author.handle) == ("5", "ann")
    assert post.duration_s == 13.56  # milliseconds there
    assert post.hashtags == ("fun", "found")
    assert post.music_id == "6740249209892505602"
    assert post.private_names == ("Ann", "Bo")
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, 1)
    assert post.duet_of == "6871947673600000001"
    assert (post.region, post.language, post.notes) == ("SG", "en", ())


def test_an_author_may_be_given_by_id_only():
    post = AWEME.read(_item(author=None, author_user_id=63469113965))
    assert (post.author.user_id, post.author.handle) == ("63469113965", None)


# 7123453673090321159 as a float prints as 7123453673090321000.
@pytest.mark.parametrize(
    ("file", "found", "repaired"),
    [
        ("7123453673090321159", "7123453673090321159", True),
        ("7123453673090399159", None, False),  # of another sound
        ("v0d00fg10000cj1lq4jc77u0ng6s1gt0", None, False),
        (None, None, False),
    ],
)
def test_a_rounded_sound_id_is_repaired_from_the_file_name(file, found, repaired):
    music = {"id": 7123453673090321000, "play_url": {"url_key": file}}
    post = AWEME.read(_item(music=music))
    assert post.music_id == found
    assert "rounded.music_id" in post.notes
    assert ("repaired.music_id" in post.notes) == repaired


def test_zero_plays_with_likes_are_unknown_plays():
    post = AWEME.read(_item(statistics={"play_count": 0, "digg_count": 7}))
    assert (post.views, post.likes) == (None, 7)
    assert "hidden.views" in post.notes
    assert AWEME.read(_item(statistics={"play_count": 0, "digg_count": 0})).views == 0


def test_images_make_a_slideshow():
    assert AWEME.read(_item(images=[{}])).is_slideshow
    assert AWEME.read(_item(image_post_info={"images": []})).is_slideshow


def test_a_post_without_an_author_is_rejected():
    with pytest.raises(UnreadablePostError, match="without an author"):
        AWEME.read(_item(author=None))
