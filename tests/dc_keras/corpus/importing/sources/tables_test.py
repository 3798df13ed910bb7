import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.corpus.importing.sources.tables import find_header, read_rows


def _rows(header, *lines):
    found = find_header([header])
    assert found is not None
    return list(read_rows(found, lines, 1))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_are_recognised_by_their_columns(delimiter):
    header = delimiter.join(["", "id", "desc"]).encode() + b"\r\n"
    [row] = _rows(header, delimiter.join(["0", "7", "hi"]).encode())
    assert (row.position, row.value) == ("line 2", {"": "0", "id": "7", "desc": "hi"})


@pytest.mark.parametrize(
    "line",
    [b"", b"id", b"hello, world", b'{"id": 1, "a": 2}', b"[1,2]", b"id," + 90 * b"x"],
)
def test_lines_without_column_names_are_not_tables(line):
    assert find_header([line]) is None


@pytest.mark.parametrize(
    "above",
    [(), (b"My export of June,,\n",), (b"\n", b"by me\n"), (b"sep=,\n",)],
)
def test_a_header_may_follow_a_title(above):
    header = find_header([*above, b"id,desc,rate (%)\n"])
    assert header.columns == [("id",), ("desc",), ("rate_(%)",)]


def test_a_sep_line_sets_the_delimiter():
    assert (
        find_header([b"\xef\xbb\xbfsep=;\r\n", b"id;desc, or so\r\n"]).delimiter == ";"
    )


@pytest.mark.parametrize(
    ("given_as", "name"),
    [
        ("ID", ("id",)),
        (" Video ID", ("video_id",)),
        ("VIDEO_DESCRIPTION", ("video_description",)),
        ("CREATETIME", ("createTime",)),
        ("createtime", ("createtime",)),  # as pytok spells it
        ("Author.UniqueID", ("author", "uniqueId")),
        ("playCount", ("playCount",)),
    ],
)
def test_columns_are_converted_to_the_names_of_tools(given_as, name):
    header = find_header([f"url,{given_as}".encode()])
    assert header.columns[1] == name


def test_spaces_after_delimiters_are_ignored():
    [row] = _rows(b"id, desc\n", b'7, "a, b"\n')
    assert row.value == {"id": "7", "desc": "a, b"}


def test_an_object_in_a_cell_is_parsed():
    [row] = _rows(b"id,author\n", b"7,\"{'id': '5', 'ok': True, 'x': None}\"\n")
    assert row.value["author"] == {"id": "5", "ok": True, "x": None}


def test_the_first_value_of_equal_columns_is_used():
    [row] = _rows(b"id,desc,desc\n", b"7,,b\n")
    assert row.value["desc"] == "b"


def test_a_cell_may_have_line_ends_commas_and_quotes():
    [row] = _rows(b"id,desc\n", b'7,"a, ""b""\n', b'c"\n')
    assert (row.position, row.value["desc"]) == ("line 3", 'a, "b"\nc')


def test_dotted_columns_are_nested_keys():
    [row] = _rows(b"id,author.id,author/name,tags.0.name\n", b"7,5,ann,fun\n")
    assert row.value["author"] == {"id": "5", "name": "ann"}
    assert row.value["tags"] == {"0": {"name": "fun"}}


@pytest.mark.parametrize("cell", ["NA", "nan", "None", "NULL", ""])
def test_missing_values_of_tools_are_none(cell):
    [row] = _rows(b"id,desc\n", f"7,{cell}\n".encode())
    assert row.value == {"id": "7", "desc": None}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"7\n", "1 cells under a header of 2 columns"),
        (b"7,a,b\n", "3 cells under a header of 2 columns"),
        (b"7,\xff\n", "not UTF-8 text"),
    ],
)
def test_an_invalid_row_is_reported_and_the_next_is_read(line, reason):
    bad, good = _rows(b"id,desc\n", line, b"8,hi\n")
    assert (bad.value, bad.reason) == (None, reason)
    assert bad.raw
    assert good.value == {"id": "8", "desc": "hi"}


def test_a_formula_is_a_text():
    [row] = _rows(b"id,desc\n", b"7,\"=cmd|' /C calc'!A0\"\n")
    assert row.value["desc"] == "=cmd|' /C calc'!A0"


def test_nul_bytes_are_text():
    [row] = _rows(b"id,desc\n", b"7,a\x00b\n")
    assert row.value["desc"] == "a\x00b"


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_csv_round_trips(rows):
    import io

    text = io.StringIO()
    csv.writer(text).writerows(rows)
    data = text.getvalue().encode("utf-8", "replace")
    for row in _rows(b"id,desc\n", *data.splitlines(keepends=True)):
        assert (row.value is None) != (row.reason is None)
