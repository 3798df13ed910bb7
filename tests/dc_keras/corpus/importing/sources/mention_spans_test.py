import pytest
from hypothesis import given
from hypothesis import strategies as st
from mentions import find_mentions

from dc_keras.corpus.importing.sources.mention_spans import is_handle, show_handles
from dc_keras.corpus.importing.sources.platform_posts import AWEME, SHARE_ITEM, WEB_ITEM


def _span(caption, shown, **more):
    """Returns an entry that marks a part of a caption, in UTF-16 offsets."""
    start = len(caption[: caption.index(shown)].encode("utf-16-le")) // 2
    end = start + len(shown.encode("utf-16-le")) // 2
    return {"start": start, "end": end, "type": 0, **more}


@pytest.mark.parametrize(
    ("caption", "shown", "expected"),
    [
        ("with @Jane Doe today", "@Jane Doe", "with @jane.d today"),
        # Emoji and other characters outside the basic plane count twice.
        ("💃🏽🔥 @Jane Doe 💃 #fun", "@Jane Doe", "💃🏽🔥 @jane.d 💃 #fun"),
        ("@Jane 💃 Doe🔥!", "@Jane 💃 Doe🔥", "@jane.d!"),
        ("𝔍 @𝔍ane 𝔇oe", "@𝔍ane 𝔇oe", "𝔍 @jane.d"),
        ("by ＠田中 太郎さん", "＠田中 太郎", "by @jane.d さん"),
        ("@Jane Doe_x", "@Jane Doe", "@jane.d _x"),
        ("@Jane Doe ", "@Jane Doe ", "@jane.d "),
        ("@jane.d today", "@jane.d", "@jane.d today"),
        ("Jane Doe @all", "Jane Doe", "Jane Doe @all"),
    ],
)
def test_a_display_name_becomes_the_handle(caption, shown, expected):
    entry = _span(caption, shown, userUniqueId="jane.d", userId="7")
    assert show_handles(caption, [entry]) == expected


def test_several_mentions_are_replaced_at_their_positions():
    caption = "🔥 @Jane Doe and @Bo van Dam, @Jane Doe"
    first, second = _span(caption, "@Jane Doe"), _span(caption, "@Bo van Dam")
    last = {**first, "start": len(caption) + 1 - 9, "end": len(caption) + 1}
    entries = [first, last, second, {"hashtagName": "fun", "start": 0, "end": 2}]
    for entry, handle in zip(entries, ("jane", "jane2", "bo"), strict=False):
        entry["userUniqueId"] = handle
    assert show_handles(caption, entries) == "🔥 @jane and @bo, @jane2"


@pytest.mark.parametrize(
    ("caption", "shown", "expected"),
    [
        ("hi @Jane Doe!", "@Jane Doe", "hi @!"),
        ("hi @Jane Doeis", "@Jane Doe", "hi @ is"),
        # May be a handle, so it is replaced by a code.
        ("hi @jane_doe!", "@jane_doe", "hi @jane_doe!"),
    ],
)
@pytest.mark.parametrize("more", [{"userId": "7"}, {}, {"userUniqueId": "no handle"}])
def test_a_display_name_without_a_handle_is_removed(caption, shown, expected, more):
    assert show_handles(caption, [_span(caption, shown, **more)]) == expected


@pytest.mark.parametrize(
    "entry",
    [
        {"start": 3, "end": 12},
        {"start": 3, "end": 12, "type": 1, "hashtagName": "@Jane Doe"},
        {"start": 3, "end": 999, "userId": "7"},
        {"start": 12, "end": 3, "userId": "7"},
        {"start": -3, "end": 12, "userId": "7"},
        {"start": "x", "end": None, "userId": "7"},
        {"userId": "7"},
        {"start": 2, "end": 12, "userId": "7"},
        "@Jane Doe",
        None,
    ],
)
def test_other_marks_change_nothing(entry):
    assert show_handles("hi @Jane Doe!", [entry]) == "hi @Jane Doe!"


def test_offsets_may_be_texts():
    entry = {"start": "3.0", "end": "12", "userId": "7", "userUniqueId": "jane"}
    assert show_handles("hi @Jane Doe!", [entry]) == "hi @jane!"


@given(
    st.text(st.sampled_from("@＠aÉ💃 .#_\n"), max_size=12),
    st.lists(
        st.tuples(st.integers(0, 14), st.integers(0, 14), st.sampled_from(["", "b.c"]))
    ),
)
def test_any_marks_give_valid_utf8(caption, marks):
    entries = [
        {"start": start, "end": end, "userId": "7", "userUniqueId": handle}
        for start, end, handle in marks
    ]
    shown = show_handles(caption, entries)
    shown.encode("utf-8")
    if all(is_handle(caption, *mark) for mark in marks):
        assert shown == caption
    assert set(find_mentions(shown)) <= {"b.c", *find_mentions(caption)}


def _of_the_app(caption, entry):
    keys = {"userId": "user_id", "userUniqueId": "user_unique_id"}
    extra = {keys.get(key, key): value for key, value in entry.items()}
    author = {"uid": "5", "unique_id": "ann"}
    return AWEME.read(
        {
            "aweme_id": "6871947673600000077",
            "desc": caption,
            "author": author,
            "text_extra": [extra],
        }
    )


def _of_2020(caption, entry):
    extra = {key[0].upper() + key[1:]: value for key, value in entry.items()}
    return SHARE_ITEM.read(
        {
            "itemInfos": {"id": "6871947673600000077", "text": caption},
            "authorInfos": {"userId": "5", "uniqueId": "ann"},
            "textExtra": [extra],
        }
    )


def _of_the_web(caption, entry):
    return WEB_ITEM.read(
        {
            "id": "6871947673600000077",
            "desc": caption,
            "author": {"id": "5", "uniqueId": "ann"},
            "textExtra": [entry],
        }
    )


@pytest.mark.parametrize("read", [_of_the_app, _of_2020, _of_the_web])
def test_every_source_that_marks_mentions_shows_handles(read):
    caption = "🔥 with @Jane Doe today"
    entry = _span(caption, "@Jane Doe", userId="7", userUniqueId="jane.d")
    assert read(caption, entry).caption == "🔥 with @jane.d today"
    del entry["userUniqueId"]
    assert read(caption, entry).caption == "🔥 with @ today"
