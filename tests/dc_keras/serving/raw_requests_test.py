import math

import pytest

from dc_keras.errors import DataError
from dc_keras.serving.raw_requests import RawPost, RawUser, pack_posts


@pytest.mark.parametrize(
    ("values", "error", "rule"),
    [
        ({"caption": None}, TypeError, "`caption` must be a str. Received: NoneType"),
        ({"jpegs": ["a.jpg"]}, TypeError, "`jpegs` must be a bytes. Received: str"),
        ({"jpegs": b"a"}, TypeError, "`jpegs` must be a bytes. Received: int"),
        ({"counts": (1.0, 2.0)}, DataError, "`counts` must be finite numbers, 4 of"),
        ({"counts": (1, 2, None, 4)}, DataError, "`counts` must be finite numbers"),
        ({"create_time": "2020"}, DataError, "must be finite numbers, 2 of them"),
        ({"duration": math.nan}, DataError, "must be finite numbers, 2 of them"),
    ],
)
def test_what_is_no_post_is_refused(values, error, rule):
    with pytest.raises(error, match=rule):
        RawPost(**{"caption": "so good", **values})


@pytest.mark.parametrize(
    ("values", "error", "rule"),
    [
        ({"account": (1, 2)}, DataError, "`account` must be finite numbers, 3 of them"),
        ({"account": (1, 2, math.nan)}, DataError, "`account` must be finite numbers"),
        ({"now": None}, DataError, "`now` must be finite numbers, 1 of them"),
        ({"joined": "dance"}, TypeError, "`joined` must be a list. Received: 'dance'"),
    ],
)
def test_what_is_no_user_is_refused(values, error, rule):
    with pytest.raises(error, match=rule):
        RawUser([RawPost("so good")], **values)


@pytest.mark.parametrize(
    ("sets", "error", "rule"),
    [
        ([RawPost("a")], TypeError, "`posts` must be a Sequence. Received: RawPost"),
        (["dance"], TypeError, "`posts` must be a RawPost. Received: str"),
        ([[]], DataError, r"at least one post. Received: num_posts=\[0\]"),
        ([], DataError, r"must be a user, .* Received: num_posts=\[\]"),
    ],
)
def test_sets_are_sequences_of_posts(sets, error, rule):
    with pytest.raises(error, match=rule):
        pack_posts(sets, "user")
