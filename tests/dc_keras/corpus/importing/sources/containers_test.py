import pytest

from dc_keras.corpus.importing.sources.containers import ContainedRecord, unwrap
from dc_keras.corpus.importing.sources.post import Person, RequestContext, Source

_A, _B = {"id": "1", "desc": "a"}, {"id": "2", "desc": "b"}


_SOURCE = Source("any", matches=lambda record: "desc" in record)


def _unwrap(document):
    def sniff(record):
        return _SOURCE if _SOURCE.matches(record) else None

    return list(unwrap(document, sniff))


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
            {"aweme_list": [_A, _B], "status_code": 0},
            ["aweme_list[0]", "aweme_list[1]"],
        ),
        ({"collector": [_A, _B], "zip": "x"}, ["collector[0]", "collector[1]"]),
        ({"_type": "playlist", "entries": [_A, _B]}, ["entries[0]", "entries[1]"]),
        (
            {"body": [{"exploreList": [{"cardItem": _A}, {"cardItem": _B}]}]},
            [f"body[0].exploreList[{n}].cardItem" for n in (0, 1)],
        ),
        ({"data": {"videos": [_A, _B]}}, ["data.videos[0]", "data.videos[1]"]),
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
def test_the_collection_time_of_the_container_is_in_milliseconds(document):
    assert [entry.collected_at for entry in _unwrap(document)] == [1668048634]


def test_a_missing_time_is_none_and_the_inner_one_is_used():
    assert _unwrap({"itemList": [_A]})[0].collected_at is None
    line = {
        "timestamp_collected": 9000,
        "data": {"extra": {"now": 5000}, "items": [_A]},
    }
    assert _unwrap(line)[0].collected_at == 5


@pytest.mark.parametrize("stamp", [True, None, "soon", -1, 1.5, "9" * 30])
def test_an_invalid_time_is_none(stamp):
    assert _unwrap({"timestamp_collected": stamp, "data": _A})[0].collected_at is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"hello": 1}, "unknown shape"),
        ({"itemInfo": {}}, "unknown shape"),
        ({"statusCode": 10204}, "an answer without posts (statusCode 10204)"),
        (
            {"source_platform": "instagram.com", "data": _A},
            "a record of another platform than TikTok (instagram.com)",
        ),
        ("text", "a text where a post was expected"),
        (None, "null where a post was expected"),
    ],
)
def test_documents_without_posts_are_reported(document, reason):
    assert [entry.reason for entry in _unwrap(document)] == [reason]


def test_user_cards_in_search_answers_are_counted():
    found = _unwrap({"data": [{"type": 1, "item": _A}, {"type": 4, "user_list": []}]})
    assert [entry.reason for entry in found] == [None, "unknown shape"]


def test_an_empty_list_holds_nothing():
    assert _unwrap({"itemList": []}) == []


def test_deep_nesting_is_bounded():
    document = _A
    for _ in range(500):
        document = {"data": [document]}
    [found] = _unwrap(document)
    assert isinstance(found, ContainedRecord)
    assert (found.reason, found.source) == ("containers nested deeper than 12", None)


def test_users_of_whichtok_are_a_table_by_handle():
    users = {"ann": {"used_hashtags": [], "desc": ""}, "bob": {"used_hashtags": []}}
    assert [found.position for found in _unwrap(users)] == ["users[0]", "users[1]"]
    # An empty object is not a table.
    assert [found.reason for found in _unwrap({})] == ["unknown shape"]


def test_an_error_of_the_research_api_is_reported():
    answer = {"data": None, "error": {"code": "rate_limit_exceeded", "message": "x"}}
    [found] = _unwrap(answer)
    assert found.reason == "an answer without posts (error rate_limit_exceeded)"


def test_a_line_of_the_collector_has_time_and_seed():
    meta = {"version": 1, "collected_at": 7, "seed": {"user_id": "5", "handle": None}}
    [found] = _unwrap({"__collect_meta": meta, "data": {"itemList": [_A]}})
    assert found.collected_at == 7
    assert found.context == RequestContext(Person("5", None), list_name="itemList")


@pytest.mark.parametrize("seed", [None, {}, {"handle": 3}, "ann", {"user_id": ""}])
def test_an_invalid_seed_is_none(seed):
    [found] = _unwrap({"__collect_meta": {"seed": seed}, "data": [_A]})
    assert (found.context.seed, found.collected_at) == (None, None)
