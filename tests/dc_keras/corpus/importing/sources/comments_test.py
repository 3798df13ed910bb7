import pytest

from dc_keras.corpus.importing.sources.post import RequestContext, UnreadablePostError
from dc_keras.corpus.importing.sources.relations import COMMENT

_ID, _TIME = "6871947673600000077", 1_600_000_000


def _edges(record):
    return COMMENT.read_edges(record, RequestContext()).edges


def test_a_comment_on_a_comment_replies_to_the_post(tool_records):
    row = tool_records["comment"] | {"is_comment_on_comment": "yes"}
    [edge] = _edges(row)
    assert (edge.kind, edge.actor.handle, edge.target) == ("reply", "bob", _ID)
    assert edge.time == _TIME


def test_a_comment_may_identify_its_post_by_url_only(tool_records):
    row = tool_records["comment"] | {"post_id": None, "aweme_id": None}
    row["videoWebUrl"] = f"https://www.tiktok.com/@ann/video/{_ID}"
    assert _edges(row)[0].target == _ID


def test_a_comment_without_a_post_is_rejected(tool_records):
    row = tool_records["comment"] | {"post_id": None}
    with pytest.raises(UnreadablePostError, match="without a post id"):
        _edges(row)
