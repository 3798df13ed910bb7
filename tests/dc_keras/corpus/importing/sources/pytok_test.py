import pytest

from dc_keras.corpus.importing.sources.post import Person, RawEdge, Row
from dc_keras.corpus.importing.sources.tool_posts import PYTOK

_ID, _OTHER = "6871947673600000077", "6871947673600000001"


def _row(**changes):
    return Row(
        {
            "video_id": _ID,
            "createtime": "1600000000",
            "author_name": "ann",
            "author_id": "5",
            "desc": "hi #Fun",
            "hashtags": "['Fun', 'two']",
            "share_video_id": None,
            "share_video_user_id": None,
            "share_type": None,
            "mentions": "['bob']",
            "digg_count": "10",
            "share_count": "2",
            "comment_count": "3",
            "view_count": "100",
        }
        | changes
    )


def test_a_complete_row_is_mapped_field_by_field():
    post = PYTOK.read(_row())
    assert (post.video_id, post.create_time) == (_ID, 1_600_000_000)
    assert post.author == Person("5", "ann")
    assert (post.hashtags, post.mentions) == (("Fun", "two"), ("bob",))
    assert (post.views, post.likes, post.comments, post.shares) == (100, 10, 3, 2)
    assert (post.duet_of, post.stitch_of, post.edges) == (None, None, ())


@pytest.mark.parametrize(
    ("kind", "found"),
    [("duet", (_OTHER, None)), ("Stitch", (None, _OTHER)), ("mashup", (None, None))],
)
def test_duets_and_stitches_refer_to_the_original_and_its_author(kind, found):
    post = PYTOK.read(
        _row(share_video_id=_OTHER, share_video_user_id="7", share_type=kind)
    )
    assert (post.duet_of, post.stitch_of) == found
    edge = RawEdge(kind.lower(), Person("5", "ann"), Person("7", None), video_id=_ID)
    assert post.edges == ((edge,) if any(found) else ())
    assert ("malformed.share_type" in post.notes) == (not any(found))


def test_a_rounded_id_of_the_other_author_keeps_the_post():
    post = PYTOK.read(
        _row(share_video_id=_OTHER, share_video_user_id="6.8e+18", share_type="duet")
    )
    assert (post.duet_of, post.edges) == (_OTHER, ())
    assert "rounded.share_video_user_id" in post.notes
