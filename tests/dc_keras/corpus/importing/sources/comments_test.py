import pytest

from dc_keras.corpus.importing.sources import comments
from dc_keras.corpus.importing.sources.post import Asked, UnreadablePostError

_ID, _TIME = "6871947673600000077", 1_600_000_000


def _ties(record):
    return comments.read(record, Asked()).ties


def test_a_comment_on_a_comment_replies_to_the_post(tool_records):
    row = tool_records["comment"] | {"is_comment_on_comment": "yes"}
    [tie] = _ties(row)
    assert (tie.kind, tie.actor.handle, tie.target) == ("reply", "bob", _ID)
    assert tie.time == _TIME


def test_a_comment_may_name_its_post_by_the_address_alone(tool_records):
    row = tool_records["comment"] | {"post_id": None, "aweme_id": None}
    row["videoWebUrl"] = f"https://www.tiktok.com/@ann/video/{_ID}"
    assert _ties(row)[0].target == _ID


def test_a_comment_of_no_post_is_refused(tool_records):
    row = tool_records["comment"] | {"post_id": None}
    with pytest.raises(UnreadablePostError, match="without the id of its post"):
        _ties(row)
