import pytest

from dc_keras.corpus.importing.sources.post import (
    Person,
    RawEdge,
    RequestContext,
    UnreadablePostError,
)
from dc_keras.corpus.importing.sources.relations import COMMENT

_ID = "6871947673600000077"
_COMMENT = {
    "cid": "1",
    "aweme_id": _ID,
    "text": "nice",
    "create_time": 9,
    "reply_id": "0",
    "user": {"uid": "7", "unique_id": "bob", "sec_uid": "MS"},
}


def test_a_comment_is_a_reply_to_the_post():
    assert COMMENT.matches(_COMMENT)
    edges = COMMENT.read_edges(_COMMENT, RequestContext())
    assert edges.edges == (
        RawEdge("reply", Person("7", "bob", "MS"), _ID, "video", _ID, 9),
    )


def test_a_comment_without_an_author_is_rejected():
    with pytest.raises(UnreadablePostError, match="a comment without an author"):
        COMMENT.read_edges(_COMMENT | {"user": {}}, RequestContext())
