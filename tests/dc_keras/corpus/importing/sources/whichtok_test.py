from dc_keras.corpus.importing.sources.foreign import rejection_reason
from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RequestContext,
    Row,
)
from dc_keras.corpus.importing.sources.relations import WHICHTOK_USERS
from dc_keras.corpus.importing.sources.tool_posts import WHICHTOK_VIDEOS

_USER = {
    "title": "Ann",
    "id": "5",
    "secUid": "MS",
    "username": "ann",
    "sugg_hashtags": ["Fun", {"title": "two"}],
    "sugg_sounds": ["BOP"],
    "videos": ["6871947673600000077"],
    "used_hashtags": ["fun"],
    "used_sounds": [],
}
_ROW = Row(
    {
        "": "0",
        "id": "6871947673600000077",
        "desc": "hi",
        "music_id": "6740249209892505602",
        "music_title": "BOP",
        "stats_diggCount": "10",
        "stats_shareCount": "2",
        "stats_commentCount": "3",
        "stats_playCount": "100",
        "hashtags": "['Fun', 'two']",
    }
)


def test_a_user_has_suggestions_and_posts():
    ann = Person("5", "ann", "MS")
    assert WHICHTOK_USERS.matches(_USER)
    assert WHICHTOK_USERS.read_edges(_USER, RequestContext()).edges == (
        RawEdge("suggested", ann, "Fun", "hashtag"),
        RawEdge("suggested", ann, "two", "hashtag"),
        RawEdge("suggested", ann, "BOP", "sound_title"),
        RawEdge("posted", ann, "6871947673600000077", "video"),
    )


def test_a_row_of_videos_is_a_post_without_an_author():
    assert WHICHTOK_VIDEOS.matches(_ROW)
    post = WHICHTOK_VIDEOS.read(_ROW)
    assert (post.video_id, post.author) == ("6871947673600000077", None)
    assert (post.hashtags, post.music_title) == (("Fun", "two"), "BOP")
    assert (post.views, post.likes, post.comments, post.shares) == (100, 10, 3, 2)


def test_a_row_about_a_hashtag_is_rejected():
    row = Row(id="1", title="#fun", subTitle="", description="", views="9")
    assert "users.json has the relations" in rejection_reason(row)
