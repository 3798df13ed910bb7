import pytest

from dc_keras.corpus.sources.containers import Found, unwrap

_A, _B = {"id": "1", "desc": "a"}, {"id": "2", "desc": "b"}


def _unwrap(document):
    return list(unwrap(document, lambda record: "desc" in record))


@pytest.mark.parametrize(
    ("document", "positions"),
    [
        ([_A, _B], ["[0]", "[1]"]),
        ({"itemList": [_A, _B]}, ["itemList[0]", "itemList[1]"]),
        ({"item_list": [_A, _B], "cursor": 1}, ["item_list[0]", "item_list[1]"]),
        ({"items": [_A, _B]}, ["items[0]", "items[1]"]),
        ({"code": 200, "data": [_A, _B]}, ["data[0]", "data[1]"]),
        ({"data": [{"item": _A}, {"item": _B}]}, ["data[0].item", "data[1].item"]),
        ({"ItemModule": {"1": _A, "2": _B}}, ["ItemModule[0]", "ItemModule[1]"]),
        (
            {"body": {"itemListData": [_A, _B]}, "statusCode": 0},
            ["body.itemListData[0]", "body.itemListData[1]"],
        ),
        (
            [{"itemList": [_A]}, {"itemInfo": {"itemStruct": _B}}],
            ["[0].itemList[0]", "[1].itemInfo.itemStruct"],
        ),
    ],
)
def test_every_container_gives_its_posts(document, positions):
    found = _unwrap(document)
    assert [(entry.record, entry.reason) for entry in found] == [(_A, None), (_B, None)]
    assert [entry.position for entry in found] == positions


@pytest.mark.parametrize(
    "document",
    [
        _A,
        {"itemInfo": {"itemStruct": _A}},
        {
            "__DEFAULT_SCOPE__": {
                "x": {},
                "webapp.video-detail": {"itemInfo": {"itemStruct": _A}},
            }
        },
        {"props": {"pageProps": {"itemInfo": {"itemStruct": _A}}}},
    ],
)
def test_pages_and_answers_for_one_post(document):
    assert [entry.record for entry in _unwrap(document)] == [_A]


@pytest.mark.parametrize(
    "document",
    [
        {"extra": {"now": 1668048634999}, "itemList": [_A]},
        {
            "timestamp_collected": 1668048634999,
            "source_platform": "tiktok.com",
            "data": _A,
        },
        {"timestamp_collected": "1668048634999", "data": _A},
        _A | {"__import_meta": {"timestamp_collected": 1668048634999}},
    ],
)
def test_the_container_says_when_in_milliseconds(document):
    assert [entry.collected_at for entry in _unwrap(document)] == [1668048634]


def test_no_stamp_is_none_and_the_inner_stamp_counts():
    assert _unwrap({"itemList": [_A]})[0].collected_at is None
    line = {
        "timestamp_collected": 9000,
        "data": {"extra": {"now": 5000}, "items": [_A]},
    }
    assert _unwrap(line)[0].collected_at == 5


@pytest.mark.parametrize("stamp", [True, None, "soon", -1, 1.5, "9" * 30])
def test_a_stamp_that_is_none_is_not_guessed(stamp):
    assert _unwrap({"timestamp_collected": stamp, "data": _A})[0].collected_at is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"hello": 1}, "unknown shape"),
        ({"itemInfo": {}}, "unknown shape"),
        ({"statusCode": 10204}, "an answer without posts (statusCode 10204)"),
        (
            {"source_platform": "instagram.com", "data": _A},
            "captured on another platform than tiktok.com",
        ),
        ("text", "a str where a post was expected"),
        (None, "a NoneType where a post was expected"),
    ],
)
def test_what_holds_no_post_is_told(document, reason):
    assert [entry.reason for entry in _unwrap(document)] == [reason]


def test_a_search_answer_with_a_user_card_keeps_both_in_the_count():
    found = _unwrap({"data": [{"type": 1, "item": _A}, {"type": 4, "user_list": []}]})
    assert [entry.reason for entry in found] == [None, "unknown shape"]


def test_an_empty_list_holds_nothing():
    assert _unwrap({"itemList": []}) == []


def test_endless_nesting_ends():
    document = _A
    for _ in range(500):
        document = {"data": [document]}
    [found] = _unwrap(document)
    assert isinstance(found, Found)
    assert found.reason is not None
