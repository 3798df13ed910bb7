from functools import partial

import pytest

from dc_keras.corpus.importing.sources.custom import make_source
from dc_keras.corpus.importing.sources.post import (
    AccountCounts,
    Person,
    Post,
    UnreadablePostError,
)
from dc_keras.errors import DataError

_ID = "6871947673600000077"


def _post(record, **changes):
    values = {
        "video_id": _ID,
        "author": Person(None, "ann"),
        "caption": "hi",
        "create_time": None,
        "hashtags": (),
        "notes": (),
    }
    return Post(**{**values, **changes})


def _refuse(record):
    raise UnreadablePostError("no caption")


def _read(read):
    return make_source("mine", bool, read).read({"caption": "of somebody"})


def test_a_valid_post_is_returned():
    assert _read(_post) == _post({})
    assert _read(partial(_post, hashtags=["fun"])) == _post({}, hashtags=("fun",))
    assert _read(partial(_post, duration_s=float("nan"))) == _post({})


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (_refuse, "^no caption$"),
        (
            lambda record: record["likes"],
            "`read` of .* mine failed: KeyError in custom_",
        ),
        (lambda record: None, "returned no valid post: Expected `object`, got `null`"),
        (partial(_post, video_id=7), r"Expected `str`, got `int` - at `\$.video_id`"),
        (partial(_post, video_id="../a"), "`video_id` must be digits"),
        (partial(_post, caption=None), r"at `\$.caption`"),
        (partial(_post, caption="\ud800"), "no valid post: UnicodeEncodeError$"),
        (partial(_post, author=None), "no author"),
        (partial(_post, author=Person(None, None)), "no author"),
        (partial(_post, likes=-1), "negative or too large"),
        (partial(_post, likes=2**63), "negative or too large"),
        (partial(_post, account=AccountCounts(-5)), "negative or too large"),
    ],
)
def test_anything_else_is_a_reason_without_content(read, reason):
    with pytest.raises(UnreadablePostError, match=reason) as told:
        _read(read)
    assert "somebody" not in str(told.value)


def test_a_sniff_that_fails_ends_the_import():
    source = make_source("mine", lambda record: record["id"], _post)
    assert source.matches({"id": 1})
    with pytest.raises(
        DataError, match=r"`sniff` of the source mine .* KeyError in cus"
    ):
        source.matches({"caption": "of somebody"})


@pytest.mark.parametrize("name", ["", "a b", "a\nb", None])
def test_a_name_is_a_word(name):
    with pytest.raises(DataError, match="`name` must be a word"):
        make_source(name, bool, _post)
