import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.corpus.importing.sources.fields import Fields
from dc_keras.corpus.importing.sources.post import Row, UnreadablePostError
from dc_keras.corpus.importing.sources.values import RoundedIdError, looks_rounded


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (7, 7),
        ("7", 7),
        (7.0, 7),
        ("7.0", 7),
        (0, 0),
        ("0", 0),
        (2**63 - 1, 2**63 - 1),
    ],
)
def test_counts_are_whole_numbers_also_as_text(value, count):
    fields = Fields({"n": value})
    assert fields.count("views", "n") == count
    assert fields.notes == ()


@pytest.mark.parametrize(
    "value",
    [-1, "12K", 1.5, True, [], {}, float("nan"), float("inf"), 2**63, "9" * 5000],
)
def test_invalid_counts_are_noted(value):
    fields = Fields({"n": value})
    assert fields.count("views", "n") is None
    assert fields.notes == ("malformed.views",)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(11, 11.0), (0, 0.0), ("15.04", 15.04), (1.5, 1.5)],
)
def test_seconds_are_numbers_also_as_text(value, seconds):
    fields = Fields({"d": value})
    assert fields.seconds("duration_s", "d") == seconds
    assert fields.notes == ()


@pytest.mark.parametrize("value", [-1, "-1", "long", True, [], 1e400, "nan", 10**400])
def test_invalid_durations_are_noted(value):
    fields = Fields({"d": value})
    assert fields.seconds("duration_s", "d") is None
    assert fields.notes == ("malformed.duration_s",)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (True, True),
        (1, True),
        ("yes", True),
        ("False", False),
        (0, False),
        ("maybe", None),
        (2, None),
        (None, None),
    ],
)
def test_flags_have_several_spellings(value, flag):
    assert Fields({"original": value}).flag("original") is flag


def test_the_first_valid_path_is_used():
    fields = Fields({"v2": {"n": "many"}, "v1": {"n": 3}})
    assert fields.count("views", "v2.n", "v1.n") == 3


def test_a_missing_key_is_noted_and_an_empty_one_is_not():
    fields = Fields({"there": "", "none": None})
    assert fields.text("region", "there") is None
    assert fields.notes == ()
    assert fields.text("language", "none") is None
    assert fields.text("title", "there.deep.er") is None
    assert fields.notes == ("missing.language", "missing.title")


@pytest.mark.parametrize(
    "value", [6740249209892505602, "6740249209892505602", " 6740249209892505602 "]
)
def test_ids_are_texts(value):
    assert Fields({"id": value}).identifier("music_id", "id") == "6740249209892505602"


def test_a_hashed_id_is_kept():
    fields = Fields({"id": "1234567e89012345"})
    assert fields.identifier("author_id", "id") == "1234567e89012345"


@pytest.mark.parametrize("value", ["", "0", 0, "REDACTED", None])
def test_empty_values_are_not_ids(value):
    assert Fields({"id": value}).identifier("duet_of", "id") is None


@pytest.mark.parametrize(
    "value",
    [
        6740249209892505602.0,
        "6.740249209892506e+18",
        "7e18",
        "7E+18",
        "6740249209892505602.0",
        7123453673090321000,  # as JavaScript prints the float
        6740249209892505600,  # as Python prints it: a multiple of 1024
    ],
)
def test_a_rounded_id_is_refused_and_an_optional_one_dropped(value):
    fields = Fields({"id": value})
    with pytest.raises(RoundedIdError, match="`video_id` passed through a float"):
        fields.identifier("video_id", "id")
    assert fields.optional_identifier("music_id", "id") is None
    assert fields.notes == ("rounded.music_id",)


@given(st.integers(2**62, 2**63 - 1025))
def test_every_float_looks_rounded(number):
    assert looks_rounded(int(float(number)))


@pytest.mark.parametrize("number", [7158770364560491178, 6740249209892505602, 23210559])
def test_an_exact_id_does_not_look_rounded(number):
    assert not looks_rounded(number)


def test_an_invalid_optional_id_is_noted():
    fields = Fields({"id": {"a": 1}, "word": "abc"})
    assert fields.optional_identifier("duet_of", "id") is None
    assert fields.optional_identifier("music_id", "word") is None
    assert fields.notes == ("malformed.duet_of", "malformed.music_id")


@pytest.mark.parametrize("value", ["../../etc/passwd", "12a", "-5", "１２", "1" * 20])
def test_a_video_id_has_digits_only(value):
    with pytest.raises(UnreadablePostError, match="must be digits, at most 19"):
        Fields({"id": value}).video_id("id")


def test_a_missing_video_id_is_rejected():
    with pytest.raises(UnreadablePostError, match="no video id"):
        Fields({}).video_id("id")


def test_a_text_id_that_may_be_rounded_is_noted_only():
    fields = Fields({"id": "7123453673090321000"})
    assert fields.video_id("id") == "7123453673090321000"
    assert fields.notes == ("maybe_rounded.video_id",)


def test_doubly_escaped_characters_are_repaired_and_noted():
    fields = Fields({"t": r"go \u26a1\ud83d\udcaa \ud83d"})
    assert fields.text("caption", "t") == "go ⚡💪 �"
    assert fields.notes == ("mended_escapes",)


def test_half_of_a_surrogate_pair_is_repaired_and_noted():
    fields = Fields({"t": "cut \ud83d"})
    assert fields.text("caption", "t") == "cut �"
    assert fields.notes == ("mended_surrogates",)


@given(st.text(st.characters(codec=None)))
def test_every_text_is_valid_utf8(text):
    found = Fields({"t": text}).text("caption", "t")
    if found is not None:
        found.encode("utf-8")


@pytest.mark.parametrize(
    "cell",
    [
        "['a', 'b']",
        '["a", "b"]',
        "['a' 'b']",
        "['a'\n 'b']",
        "array(['a', 'b'], dtype=object)",
        'c("a", "b")',
        'list("a", "b")',
        "[a, b]",
        "{a,b}",
        "('a', 'b')",
        "WrappedArray(a, b)",
        "a|b",
        "a; b",
        "a,b,",
        "#a #b",
        "#a#b",
        "a b",
        "[{'name': 'a'}, {'name': 'b'}]",
    ],
)
def test_lists_of_tags_in_a_cell_have_many_syntaxes(cell):
    tags = Fields(Row(tags=cell)).tags("#caption", "tags")
    assert [tag.removeprefix("#") for tag in tags] == ["a", "b"]


@pytest.mark.parametrize("cell", ["[]", "{}", "character(0)", "list()", "NULL", "[ ]"])
def test_an_empty_list_in_a_cell_has_no_tags(cell):
    assert Fields(Row(tags=cell)).tags("#caption", "tags") == ()


@pytest.mark.parametrize(
    "cell",
    ["['a', 'b", 'c("a", "b"', "['a' 'b' ... 'z']", "list(list(name = 'a'))", "1: a"],
)
def test_an_unreadable_list_in_a_cell_rejects_the_row(cell):
    with pytest.raises(UnreadablePostError, match="`tags` must be a list"):
        Fields(Row(tags=cell)).tags("#caption", "tags")


def test_the_caption_replaces_a_list_lost_by_javascript():
    assert Fields(Row(t="[object Object],[object Object]")).tags("#a", "t") == ("a",)


@pytest.mark.parametrize("handle", ["{'id': '5'", "a b", "[1]", '"ann"', "a\n"])
def test_invalid_handles_are_ignored(handle):
    found = Fields({"author": handle}).person(handle=("author",))
    assert found is None or found.handle == "a"


@pytest.mark.parametrize("video_id", ["2648501402992312657", "3412345678901234567"])
def test_an_id_of_another_platform_is_refused(video_id):
    with pytest.raises(UnreadablePostError, match="of another platform"):
        Fields({"id": video_id}).video_id("id")


@pytest.mark.parametrize(
    "cell",
    ["'6871947673600000077", '="6871947673600000077"', "6,871,947,673,600,000,077"],
)
def test_ids_quoted_for_spreadsheets_are_read(cell):
    assert Fields(Row(id=cell)).video_id("id") == "6871947673600000077"


def test_texts_of_a_list_skip_entries_without_text():
    record = {"tags": [{"name": "a"}, {"name": ""}, {}, 3, {"name": 4}, {"name": "b"}]}
    assert list(Fields(record).texts("tags", "name")) == ["a", "b"]
    assert list(Fields({"tags": 3}).texts("tags", "name")) == []
