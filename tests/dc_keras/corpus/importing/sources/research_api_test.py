import pytest

from dc_keras.corpus.importing.sources.foreign import rejection_reason
from dc_keras.corpus.importing.sources.platform_posts import RESEARCH_API
from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RequestContext,
    Row,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.relations import FOLLOWERS, FOLLOWING


def _video(**changes):
    video = {
        "id": 6871947673600000077,
        "video_description": "hi #Fun #Two",
        "create_time": 1_600_000_000,
        "region_code": "SG",
        "username": "ann",
        "music_id": 6740249209892505603,
        "hashtag_names": ["fun", "two"],
        "video_mention_list": ["bob"],
        "effect_ids": ["1"],
        "voice_to_text": "hello",
        "video_duration": 13,
        "view_count": 100,
        "like_count": 10,
        "comment_count": 3,
        "share_count": 2,
        "favorites_count": 1,
    } | changes
    return {key: value for key, value in video.items() if value is not None}


def test_a_complete_video_is_mapped_field_by_field():
    post = RESEARCH_API.read(_video())
    assert post.video_id == "6871947673600000077"
    assert (post.author.user_id, post.author.handle) == (None, "ann")
    assert (post.hashtags, post.mentions) == (("fun", "two"), ("bob",))
    assert (post.music_id, post.effects) == ("6740249209892505603", ("1",))
    counts = (post.views, post.likes, post.comments, post.shares, post.saves)
    assert counts == (100, 10, 3, 2, 1)
    assert (post.region, post.transcript, post.duration_s) == ("SG", "hello", 13)
    assert post.notes == ()


def test_spellings_and_names_of_the_other_environment_are_read():
    post = RESEARCH_API.read(
        _video(id=None, video_id=6871947673600000077, username=None, display_name="ann")
        | {"favourites_count": 4, "favorites_count": None, "country_code": "DE"}
        | {"region_code": None, "effect_info_list": [{"effect_name": "blur"}]}
    )
    assert (post.video_id, post.author.handle) == ("6871947673600000077", "ann")
    assert (post.saves, post.region, post.effects) == (4, "DE", ("blur",))


# Every 64-bit float above 2^62 is a multiple of 1024.
_ROUND = 6871947673600000000 // 1024 * 1024


def test_a_number_that_looks_rounded_is_accepted_beside_an_exact_one():
    post = RESEARCH_API.read(_video(id=_ROUND))
    assert post.video_id == str(_ROUND)
    assert post.notes == ("maybe_rounded.video_id",)


@pytest.mark.parametrize("music_id", [None, _ROUND, 7123453673090321000, 5])
def test_a_number_that_looks_rounded_is_refused_alone(music_id):
    with pytest.raises(UnreadablePostError, match="passed through a float"):
        RESEARCH_API.read(_video(id=_ROUND, music_id=music_id))


def test_rows_of_a_table_have_lists_in_cells():
    row = Row({key: str(value) for key, value in _video().items()})
    post = RESEARCH_API.read(row)
    assert (post.hashtags, post.mentions) == (("fun", "two"), ("bob",))
    assert post.music_id == "6740249209892505603"
    row["hashtag_names"] = "fun, two"
    assert RESEARCH_API.read(row).hashtags == ("fun", "two")


def test_a_follower_follows_the_target_account():
    line = {"username": "ann", "display_name": "A", "target_account": "star"}
    ann, star = Person(None, "ann"), Person(None, "star")
    for read, context, edge in (
        (FOLLOWERS.read_edges, RequestContext(), RawEdge("follow", ann, star)),
        (
            FOLLOWERS.read_edges,
            RequestContext(list_name="user_following"),
            RawEdge("follow", star, ann),
        ),
        (FOLLOWING.read_edges, RequestContext(), RawEdge("follow", star, ann)),
    ):
        assert FOLLOWERS.matches(line)
        assert read(line, context).edges == (edge,)


def test_a_follower_without_a_target_is_rejected():
    with pytest.raises(UnreadablePostError, match="without `target_account`"):
        FOLLOWERS.read_edges({"username": "ann", "display_name": "A"}, RequestContext())


def test_a_comment_has_no_author():
    comment = {"id": 1, "video_id": 2, "text": "x", "parent_comment_id": 2}
    assert not RESEARCH_API.matches(comment | {"view_count": 1, "username": "a"})
    assert "a comment without an author" in rejection_reason(comment)
