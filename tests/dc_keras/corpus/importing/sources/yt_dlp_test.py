import pytest

from dc_keras.corpus.importing.sources.post import Person, RawEdge, UnreadablePostError
from dc_keras.corpus.importing.sources.tool_posts import YT_DLP

_ID = "6871947673600000077"


def _info(**changes):
    info = {
        "id": _ID,
        "extractor_key": "TikTok",
        "title": "a long capt",
        "description": "a long caption #Fun @bob",
        "timestamp": 1_600_000_000,
        "uploader": "ann",
        "uploader_id": "5",
        "channel": "Ann",
        "channel_id": "MS",
        "track": "BOP",
        "artists": ["Bo"],
        "duration": 13,
        "view_count": 100,
        "like_count": 10,
        "comment_count": 3,
        "repost_count": 2,
        "save_count": 1,
    } | changes
    return {key: value for key, value in info.items() if value is not None}


def test_a_complete_video_is_mapped_field_by_field():
    post = YT_DLP.read(_info())
    assert (post.video_id, post.create_time) == (_ID, 1_600_000_000)
    assert post.author == Person("5", "ann", "MS")
    assert (post.caption, post.hashtags) == ("a long caption #Fun @bob", ("fun",))
    assert (post.music_id, post.music_title) == (None, "BOP")
    assert set(post.private_names) == {"Bo", "Ann"}
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, 1)
    assert post.notes == ()


def test_a_missing_description_is_the_title():
    assert YT_DLP.read(_info(description=None)).caption == "a long capt"


def test_formats_without_video_are_a_slideshow():
    assert YT_DLP.read(_info(formats=[{"vcodec": "none"}])).is_slideshow
    formats = [{"vcodec": "none"}, {"vcodec": "h264"}]
    assert not YT_DLP.read(_info(formats=formats)).is_slideshow


def test_comments_are_replies_and_an_invalid_one_is_noted():
    comments = [{"author_id": "7", "author": "bob", "timestamp": 9}, {}, "x"]
    post = YT_DLP.read(_info(comments=comments))
    assert post.edges == (RawEdge("reply", Person("7", "bob"), _ID, "video", _ID, 9),)
    assert "malformed.comment" in post.notes


def test_a_video_of_another_site_is_rejected():
    with pytest.raises(UnreadablePostError, match="another site than TikTok"):
        YT_DLP.read(_info(extractor_key="Youtube"))


def test_a_playlist_is_a_container():
    assert not YT_DLP.matches({"extractor_key": "TikTokUser", "entries": [_info()]})
    assert YT_DLP.matches(_info())
