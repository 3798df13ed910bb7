import datetime
import io

import pyarrow
import pyarrow.parquet
import pytest
import xlsxwriter

from dc_keras.corpus.importing.sources import sheets
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.reading import read_documents

_ID, _OTHER = "6871947673600000077", "6871947673600000099"
_HEADER = ["Video ID", "User", "Caption", "Views"]
_ROW = [_ID, "ann", "hi", 40]


@pytest.fixture
def read(tmp_path):
    """Reads a workbook filled by a function; returns position, row and reason of each."""

    def run(fill):
        data = io.BytesIO()
        with xlsxwriter.Workbook(data, {"in_memory": True}) as book:
            fill(book)
        path = tmp_path / "export"
        path.write_bytes(data.getvalue())
        return [(d.position, d.value, d.reason) for d in read_documents(Piece(path))]

    return run


def _values(documents):
    return [list(value.values()) for _, value, _ in documents]


def test_every_sheet_with_a_header_is_read(read):
    def fill(book):
        book.add_worksheet("About").write(0, 0, "How this was made")
        for name, row in (("June", _ROW), ("July", [_OTHER, *_ROW[1:]])):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, _HEADER)
            sheet.write_row(1, 0, row)
        book.add_worksheet("Empty")

    found = read(fill)
    assert [position for position, *_ in found] == [
        "sheet June row 2",
        "sheet July row 2",
    ]
    assert _values(found) == [[_ID, "ann", "hi", "40"], [_OTHER, "ann", "hi", "40"]]


def test_a_table_may_follow_a_title_and_have_blank_rows(read):
    def fill(book):
        sheet = book.add_worksheet("A")
        sheet.merge_range("C3:F3", "My export")
        sheet.write_row(4, 2, _HEADER)
        sheet.write_row(5, 2, _ROW)
        sheet.write_row(8, 2, [_OTHER, *_ROW[1:]])

    found = read(fill)
    assert [position for position, *_ in found] == ["sheet A row 6", "sheet A row 9"]


def test_a_merged_cell_applies_to_all_its_rows(read):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, _HEADER)
        sheet.write_row(1, 0, _ROW)
        sheet.write_row(2, 0, [_OTHER, "", "ho"])
        sheet.merge_range("B2:B3", "ann")
        sheet.write_row(3, 0, [_OTHER, "", "he"])

    assert [row[1] for row in _values(read(fill))] == ["ann", "ann", None]


def test_formulas_give_the_computed_value(read):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, _HEADER)
        sheet.write_formula(1, 0, f'="{_ID}"', None, _ID)
        sheet.write_formula(1, 3, "=20*2", None, 40)

    [[video_id, _, _, views]] = _values(read(fill))
    assert (video_id, views) == (_ID, "40")


def test_numbers_dates_and_booleans_give_the_displayed_text(read):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "date", "length", "rate", "ok", "number"])
        day, time = (
            book.add_format({"num_format": f}) for f in ("yyyy-mm-dd", "hh:mm")
        )
        sheet.write(1, 0, _ID)
        sheet.write_datetime(1, 1, datetime.datetime(2020, 9, 13, 12, 26, 40), day)
        sheet.write_datetime(1, 2, datetime.time(0, 1, 15), time)
        sheet.write_row(1, 3, [0.25, True, 123_456_789_012_345])

    [row] = _values(read(fill))
    given = ["2020-09-13 12:26:40", "00:01:15", 0.25, "true", "123456789012345"]
    assert row == [_ID, *given]


def test_a_number_beyond_15_digits_stays_a_float(read):
    def fill(book):
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, _HEADER)
        sheet.write_row(1, 0, [_ID, "ann"])
        # 17 digits, as written by spreadsheet programs, without zeros at the end.
        sheet.write_row(2, 0, [6871947673612345678, "ann"])

    assert [type(row[0]) for row in _values(read(fill))] == [str, float]


def test_a_workbook_without_ids_is_rejected_by_its_header(read):
    def fill(book):
        book.add_worksheet().write_row(0, 0, ["User", "Likes", "x"])

    [(_, _, reason)] = read(fill)
    assert reason.endswith("(recognised: User, Likes; other: 1)")
    [(_, _, reason)] = read(lambda book: book.add_worksheet())
    assert reason == "a spreadsheet without a row below a header with ids"


@pytest.mark.parametrize("data", [b"", b"PK\3\4", sheets.__doc__.encode()])
def test_an_invalid_workbook_is_reported(data):
    [row] = sheets.read_workbook(data)
    assert row.reason == "not a readable spreadsheet: CalamineError"


def test_a_truncated_old_workbook_is_reported(tmp_path):
    path = tmp_path / "export.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    [document] = read_documents(Piece(path))
    assert document.reason.startswith("not a readable spreadsheet")


@pytest.fixture
def read_parquet(tmp_path):
    def run(table):
        pyarrow.parquet.write_table(table, tmp_path / "export")
        found = list(read_documents(Piece(tmp_path / "export")))
        return [(document.value, document.reason) for document in found]

    return run


def test_columns_of_parquet_may_have_structs_lists_maps_and_json(read_parquet):
    author = pyarrow.array(
        [[("id", "5")]], pyarrow.map_(pyarrow.string(), pyarrow.string())
    )
    columns = {
        "id": pyarrow.array([int(_ID)], pyarrow.int64()),
        "stats": [{"playCount": 4}],
        "challenges": [[{"title": "a"}, {"title": "b"}]],
        "author": author,
        "music": ['{"id": "7"}'],
        "desc": [b"hi"],
    }
    [(row, _)] = read_parquet(pyarrow.table(columns))
    assert row == {
        "id": _ID,
        "stats": {"playCount": "4"},
        "challenges": [{"title": "a"}, {"title": "b"}],
        "author": {"id": "5"},
        "music": {"id": "7"},
        "desc": "hi",
    }


def test_times_of_parquet_may_have_nanoseconds_and_a_zone(read_parquet):
    times = {
        name: pyarrow.array([1_600_000_000 * 10**9 + 1], pyarrow.timestamp("ns", zone))
        for name, zone in (("local", None), ("zoned", "UTC"))
    }
    [(row, _)] = read_parquet(pyarrow.table({"id": [_ID], **times}))
    given = ["2020-09-13T12:26:40", "2020-09-13T12:26:40+00:00"]
    assert [row["local"], row["zoned"]] == given


def test_parquet_without_ids_is_rejected_by_its_columns(read_parquet):
    [(_, reason)] = read_parquet(pyarrow.table({"user": ["a", "b"], "likes": [3, 4]}))
    assert reason.endswith("(recognised: user, likes; other: 0)")
    assert (
        read_parquet(pyarrow.table({"id": pyarrow.array([], pyarrow.string())})) == []
    )
