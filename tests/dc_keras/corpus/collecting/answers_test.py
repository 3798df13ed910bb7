import pytest

from dc_keras.corpus.collecting.answers import (
    Member,
    RefusedError,
    check_answer,
    members_of,
)

_PAGE = {"itemList": [{"id": "1"}], "hasMore": True, "cursor": 30, "statusCode": 0}
_USER = {"id": "1", "secUid": "s", "uniqueId": "ann"}
_CARD = {"subTitle": "@ann", "extraInfo": {"userId": 1, "secUid": "s"}}


def _suggestion(*cards):
    return {"body": [{"exploreList": [{"cardItem": card} for card in cards]}]}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("hashtag", _PAGE),
        ("user", {"itemList": [], "hasMore": False}),
        ("user_detail", {"userInfo": {"user": _USER}}),
        ("suggested", _suggestion(_CARD)),
    ],
)
def test_complete_answers_pass(request_, answer):
    check_answer(request_, answer)


@pytest.mark.parametrize(
    ("request_", "answer", "reason", "is_final"),
    [
        ("user", "", "an empty answer: probably blocked", False),
        ("user", "<html>Captcha", "a captcha page instead of JSON", False),
        ("user", "<html>", "a page instead of JSON: probably blocked", False),
        ("user", [], "a list instead of an object", False),
        ("user", None, "a NoneType instead of an object", False),
        (
            "user",
            {"status_code": 8},
            "the platform refused the request: status_code 8",
            True,
        ),
        (
            "sound",
            {"items": [], "hasMore": False},
            "no `itemList` in the answer; its keys: hasMore, items",
            True,
        ),
        (
            "sound",
            _PAGE | {"cursor": None},
            "no `cursor` in the answer; "
            "its keys: cursor, hasMore, itemList, statusCode",
            True,
        ),
        (
            "sound",
            _PAGE | {"itemList": [{"itemId": "1"}, None]},
            "no `id` in the answer; its keys: itemId",
            True,
        ),
        ("sound", _PAGE | {"itemList": {}}, "`itemList` is not a list", True),
        (
            "sound",
            _PAGE | {"itemList": []},
            "no posts, although `hasMore` is true: probably blocked",
            False,
        ),
        (
            "user_detail",
            {"userInfo": {"user": {"id": "1"}}},
            "no `secUid` in the answer; its keys: id",
            True,
        ),
        (
            "hashtag_detail",
            {"challengeInfo": "x"},
            "no `challenge` in the answer; its keys: none",
            True,
        ),
        (
            "suggested",
            _suggestion({"title": "ann"}),
            "suggestions of an unexpected structure: KeyError('extraInfo')",
            True,
        ),
    ],
)
def test_unusable_answers_raise_with_a_reason(request_, answer, reason, is_final):
    with pytest.raises(RefusedError) as caught:
        check_answer(request_, answer)
    assert (str(caught.value), caught.value.is_final) == (reason, is_final)


def test_members_are_the_user_cards_only():
    hashtag = {"subTitle": "", "extraInfo": {"challengeId": "5"}}
    answer = _suggestion(_CARD, hashtag, {**_CARD, "extraInfo": {"userId": 2}})
    assert members_of(answer) == [Member("1", "ann", "s"), Member("2", "ann", "")]
