import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dc_keras.corpus.importing.sources.platform_posts import WEB_ITEM
from dc_keras.corpus.importing.sources.post import Post, UnreadablePostError
from dc_keras.corpus.importing.sources.web_item_line import read_lines


def _line(item):
    return json.dumps(item).encode()


def _quickly(line):
    """Returns the post of a line, None if it is left to the general reader."""
    [posts] = read_lines([line])
    return posts and Post(**{name: value for name, [value] in posts.items()})


def _slowly(item):
    """Returns the post that the general reader reads from the line."""
    try:
        return WEB_ITEM.read(json.loads(_line(item)))
    except UnreadablePostError:
        return None


def _mention(start, end, handle=""):
    return {"start": start, "end": end, "userUniqueId": handle, "userId": "7"}


_TAG = {"start": 8, "end": 10, "hashtagName": "a", "userId": "", "userUniqueId": ""}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"statsV2": {"playCount": "12", "diggCount": "3", "commentCount": "0"}}
        | {"stats": {"playCount": 1, "diggCount": 1, "commentCount": 1}},
        {"duetInfo": None, "locationCreated": None, "textLanguage": None},
        {"stats": dict.fromkeys(("playCount", "diggCount", "commentCount"), 5)},
        {"challenges": None, "effectStickers": [{"name": "blur"}, {"ID": "3"}]},
        {"id": str(3 * 2**61)},  # a multiple of 1024: noted
        {"id": str(3 * 2**61), "textLanguage": None},
        {"author": {"id": "5", "uniqueId": " @ann ", "secUid": "MS"}},
        {"nickname": "Ann", "video": {"duration": 15.5}},
        {"music": {"id": "5", "title": "x", "original": True, "authorName": "Bo"}},
        {"duetInfo": {"duetFromId": "6871947673600000001"}},
        {"duetInfo": {"duetFromId": ""}},
        {"textExtra": [{"userUniqueId": "bob"}, {"hashtagName": "a"}, {}]},
        {"desc": "hi @bob #a", "textExtra": [_mention(3, 7, "bob"), _TAG]},
        {"desc": "hi #a", "textExtra": [_mention(3, 7, "bob"), _TAG]},
    ],
)
def test_both_readers_agree_on_a_complete_item(make_item, changes):
    item = make_item(**changes)
    for stats in ("stats", "statsV2"):
        if stats in item:
            item[stats]["shareCount"] = 7 if stats == "stats" else "7"
    if "statsV2" in item:
        item["statsV2"]["collectCount"] = "4"
    assert _quickly(_line(item)) == _slowly(item) is not None


# Each line requires the general reader.
@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"id": ""},
        {"id": 6871947673600000077},
        {"desc": ""},
        {"desc": None},
        {"desc": r"\u26a1"},
        {"desc": "\ud83d"},
        {"desc": "REDACTED"},
        {"author": "ann"},
        {"author": {"id": "5", "uniqueId": "ann "}},
        {"author": {"id": "5", "uniqueId": " @", "secUid": "MS"}},
        {"author": {"id": "0", "uniqueId": "ann", "secUid": "MS"}},
        {"music": {"id": "0", "title": "x"}},
        {"music": {"id": 7123453673090321000, "title": "x"}},
        {"textExtra": None},
        {"textExtra": [{"hashtagName": r"\u26a1"}]},
        # Mentions by a display name, without a handle, or after an emoji.
        {"desc": "hi @Bo Dam", "textExtra": [_TAG, _mention(3, 10, "bob")]},
        {"desc": "hi @bob", "textExtra": [_mention(3, 7)]},
        {"desc": "💃 @bob", "textExtra": [_mention(3, 7, "bob")]},
        {"desc": "hi @a b", "textExtra": [_mention(3, 7, "a b")]},
        {"stats": None},
        {"stats": {"playCount": -1}},
        {"video": {"duration": -1}},
        {"createTime": None},
        {"createTime": "1600000000"},
        {"locationCreated": 7},
        {"duetInfo": {"duetFromId": "x"}},
        {"imagePost": {}},
        {"liveRoomInfo": {"a": 1}},
        {"extra": {"now": 1}},
        {"__import_meta": {}},
        {"__collect_meta": {}},
        {"timestamp_collected": 7},
        {"source_platform": "tiktok.com"},
        {"aweme_id": "7"},
        {"authorMeta": {}},
    ],
)
def test_irregular_items_are_left_to_the_general_reader(make_item, changes):
    item = make_item() | changes
    assert _quickly(_line({k: v for k, v in item.items() if v is not None})) is None


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b"<html>"])
def test_other_lines_are_left_to_the_general_reader(line):
    assert _quickly(line) is None


def test_regular_lines_are_grouped_and_irregular_ones_separate(make_item):
    handles = ["a", "b", "@", "d", "e", "f", None, None, "g"]
    author = {"id": "5", "secUid": "MS"}
    lines = [
        b"{}"
        if handle is None
        else _line(make_item(author=author | {"uniqueId": handle}))
        for handle in handles
    ]
    runs = [
        posts and [a.handle for a in posts["author"]] for posts in read_lines(lines)
    ]
    assert runs.count(None) == 3
    assert [x for run in runs for x in run or [None]] == [
        None if handle == "@" else handle for handle in handles
    ]
    assert ["g"] in runs
    assert list(read_lines([])) == []


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["0", "5", "00", " 5", "5.0", "1e3", "REDACTED", "@a", "٣"])
    | st.sampled_from([[], {}, [None], ["a"], [{"name": "a"}], {"id": "7"}])
)


def _paths(value, path=()):
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else ()
    entries = enumerate(value) if isinstance(value, list) else entries
    for key, child in entries:
        yield from _paths(child, (*path, key))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_both_readers_agree_on_all_regular_lines(data):
    item = copy.deepcopy(_WHOLE)
    for _ in range(data.draw(st.integers(1, 2))):
        *parents, key = data.draw(st.sampled_from(list(_paths(item))))
        inner = item
        for parent in parents:
            inner = inner[parent]
        inner[key] = copy.deepcopy(data.draw(_VALUES))
    found = _quickly(_line(item))
    if found is not None:
        assert found == _slowly(item)


_WHOLE = {
    "id": "6871947673600000077",
    "desc": "hi @bob #fun",
    "createTime": 1_600_000_000,
    "author": {"id": "5", "uniqueId": "ann", "secUid": "MS", "nickname": "Ann"},
    "stats": dict.fromkeys(
        ("playCount", "diggCount", "commentCount", "shareCount", "collectCount"), 5
    ),
    "statsV2": dict.fromkeys(
        ("playCount", "diggCount", "commentCount", "shareCount", "collectCount"), "6"
    ),
    "music": {"id": "7", "title": "BOP", "original": False, "authorName": "Bo"},
    "challenges": [{"title": "fun"}],
    "textExtra": [
        {"start": 3, "end": 7, "hashtagName": "", "userUniqueId": "bob", "type": 0},
        {"start": 8, "end": 12, "hashtagName": "fun", "userId": "", "type": 1},
    ],
    "video": {"duration": 13},
    "duetInfo": {"duetFromId": "0"},
    "effectStickers": [{"name": "blur"}],
    "locationCreated": "SG",
    "textLanguage": "en",
}
