import gzip
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.corpus.importing.sources import reading
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.reading import read_documents


def _read(tmp_path, data, name="export.json"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [
        (doc.position, doc.value, doc.reason) for doc in read_documents(Piece(path))
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_one_json_document(tmp_path, indent):
    text = json.dumps({"a": [1, {"b": None}]}, indent=indent)
    [(_, value, reason)] = _read(tmp_path, text)
    assert (value, reason) == ({"a": [1, {"b": None}]}, None)


def test_json_lines_may_have_blank_lines_and_a_byte_order_mark(tmp_path):
    assert _read(tmp_path, b'\xef\xbb\xbf{"a":1}\n\n{"a":2}\r\n') == [
        ("line 1", {"a": 1}, None),
        ("line 3", {"a": 2}, None),
    ]


def test_an_invalid_line_is_reported_and_the_others_are_read(tmp_path):
    assert _read(tmp_path, b'{"a":1}\n{"a":\n\xff\xfe\n{"a":2}\n') == [
        ("line 1", {"a": 1}, None),
        ("line 2", None, "not JSON"),
        ("line 3", None, "not UTF-8 text"),
        ("line 4", {"a": 2}, None),
    ]


def test_lines_after_an_invalid_first_line_are_read(tmp_path):
    assert _read(tmp_path, b'{"a":\n{"a":1}\n{"a":2}\n') == [
        ("line 1", None, "not JSON"),
        ("line 2", {"a": 1}, None),
        ("line 3", {"a": 2}, None),
    ]


def test_a_line_separator_in_a_string_does_not_end_the_line(tmp_path):
    line = json.dumps({"a": "x\u2028y\x0by"}, ensure_ascii=False)
    assert [value for _, value, _ in _read(tmp_path, f"{line}\n{line}\n")] == [
        {"a": "x\u2028y\x0by"}
    ] * 2


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"hello", "neither JSON nor a table"),
        (b"\x00\x01", "not a text"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "neither JSON nor a table"),
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"\x80\x04\x95" + bytes(9), "a Python pickle"),
    ],
)
def test_invalid_json_is_reported_once(tmp_path, data, told):
    [(_, value, reason)] = _read(tmp_path, data)
    assert value is None
    assert reason.startswith(told)


def test_gzip_is_recognised_by_its_first_bytes(tmp_path):
    data = gzip.compress(b'{"a":1}\n{"a":2}\n')
    assert [value for _, value, _ in _read(tmp_path, data)] == [{"a": 1}, {"a": 2}]


def test_a_truncated_gzip_gives_the_data_before_and_a_reason(tmp_path):
    lines = "".join(f'{{"a":{i * i}}}\n' for i in range(20_000))
    documents = _read(tmp_path, gzip.compress(lines.encode())[:-2000])
    assert documents[0] == ("line 1", {"a": 0}, None)
    assert documents[-1] == ("end", None, "the file is cut or damaged (EOFError)")


_PAGE = (
    "<!DOCTYPE html><html><head><script>var x = '<b>';</script>"
    '<script id="{id}" type="application/json">{payload}</script></head>'
    "<body>\xa0</body></html>"
)


@pytest.mark.parametrize("name", ["SIGI_STATE", "__UNIVERSAL_DATA_FOR_REHYDRATION__"])
def test_a_saved_page_gives_its_state(tmp_path, name):
    payload = json.dumps({"a": "x & y &amp; <i>z</i>"})
    page = _PAGE.format(id=name, payload=payload)
    assert _read(tmp_path, page) == [
        (f"script {name}", {"a": "x & y &amp; <i>z</i>"}, None)
    ]


def test_a_page_of_2021_assigns_its_state(tmp_path):
    page = (
        '<html><script id="sigi-persisted-data">window[\'SIGI_STATE\']={"a":";};"};'
        "window['SIGI_RETRY']={};</script></html>"
    )
    assert _read(tmp_path, page) == [("script SIGI_STATE", {"a": ";};"}, None)]


def test_a_page_without_state_is_reported(tmp_path):
    [(position, _, reason)] = _read(tmp_path, "<html><p>Please wait</p></html>")
    assert position == "page"
    assert reason.startswith("a page without __UNIVERSAL_DATA_FOR_REHYDRATION__ or")


def test_a_page_with_invalid_state_is_reported(tmp_path):
    page = _PAGE.format(id="SIGI_STATE", payload='{"a":')
    assert _read(tmp_path, page) == [("script SIGI_STATE", None, "not JSON")]


@given(data=st.binary(max_size=200))
def test_any_bytes_give_documents(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)
    for document in read_documents(Piece(path)):
        assert document.reason is None or document.value is None


def test_fast_lines_come_in_runs_between_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_BLOCK", 63 * 8)
    path = tmp_path / "export.json"
    plain = [b'{"p":1}\n'] * 100
    path.write_bytes(b"".join([b'{"a":1}\n', *plain, b'{"a":2}\n', b'{"p":1}']))
    documents = read_documents(Piece(path), _read_p)
    assert [(doc.position, _num_posts(doc)) for doc in documents] == [
        ("line 1", 0),
        ("line 2", 63),
        ("line 65", 37),
        ("line 102", 0),
        ("line 103", 1),
    ]


def test_lines_before_damage_are_read_by_the_fast_reader(tmp_path):
    path = tmp_path / "export.json"
    lines = [b'{"p":"%d"}' % (number + 7919) ** 100 for number in range(2000)]
    path.write_bytes(gzip.compress(b"\n".join(lines))[:-100_000])
    *slow, end = read_documents(Piece(path))
    *quick, quick_end = read_documents(Piece(path), _read_p)
    assert (end, end.reason) == (quick_end, "the file is cut or damaged (EOFError)")
    assert len(slow) == 1 + sum(map(_num_posts, quick))
    assert len(slow) > 100


def _read_p(lines):
    """Makes posts with only an id from complete lines that contain a p."""
    for has_p, run in itertools.groupby(lines, lambda x: b"p" in x and b"}" in x):
        ids = list(run)
        yield from [{"video_id": ids}] if has_p else [None] * len(ids)


def _num_posts(document):
    return 0 if document.posts is None else len(document.posts["video_id"])


def test_only_the_beginning_of_too_long_lines_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    monkeypatch.setattr(reading, "CHUNK", 10)
    lines = [b'{"a":1}', b'"' + b"x" * 97 + b'"', b'"' + b"x" * 300 + b'"', b"2"]
    (tmp_path / "export.json").write_bytes(b"\n".join(lines))
    first, longest, longer, last = read_documents(Piece(tmp_path / "export.json"))
    assert (first.value, longest.value, last.value) == ({"a": 1}, "x" * 97, 2)
    assert (longer.position, longer.raw) == ("line 3", lines[2][:10])
    assert longer.reason.startswith("more than")
    assert last.position == "line 4"
