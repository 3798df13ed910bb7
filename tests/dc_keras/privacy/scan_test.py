import bz2
import gzip
import lzma
import zipfile

import numpy as np
import polars as pl
import pytest

from dc_keras.privacy import scan
from dc_keras.privacy.scan import find_traces

_POST, _USER, _MENTION = "6871947673600000001", "0123456789abcdef" * 2, "u_0123456789"


@pytest.fixture
def forgotten(forget):
    return forget(_POST, _USER, _MENTION, "123456")


def _write_zip(path, code):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", f'{{"name": "{code}"}}')


_WRITERS = {
    "raw.bin": lambda path, code: path.write_bytes(b"\x00\x13" + code.encode() + b"\n"),
    "text.json": lambda path, code: path.write_text(f'["{code}"]'),
    "report.html": lambda path, code: path.write_text(f"<th>{code}</th><td>0.5</td>"),
    "model.keras": _write_zip,
    "arrays.npz": lambda path, code: np.savez(path, x=np.array([code, ""])),
    "column.parquet": lambda path, code: pl.DataFrame(
        {"a": [None, code]}
    ).write_parquet(path, statistics=False),
    ".column.parquet.0.tmp": lambda path, code: pl.DataFrame(
        {"a": [None, code]}
    ).write_parquet(path, statistics=False),
    "lists.parquet": lambda path, code: pl.DataFrame(
        {"a": [[], [f"@{code}!"]]}
    ).write_parquet(path, statistics=False),
}


@pytest.mark.parametrize("code", [_POST, _USER, _MENTION])
@pytest.mark.parametrize("name", _WRITERS)
def test_a_code_is_found_in_any_file(tmp_path, forgotten, name, code):
    _WRITERS[name](tmp_path / name, code)
    for ours in ([], [tmp_path]):
        traces = list(find_traces([tmp_path], forgotten, ours=ours))
        assert [trace.path for trace in traces] == [tmp_path / name]


@pytest.mark.parametrize(
    "text",
    [
        "6871947673600000002 u_0123456780",  # of others
        f"{_POST}0 x{_MENTION} {_USER}0",  # parts of longer words
        "123456",  # a number as short may be anything
        f"{_POST[:9]} {_POST[9:]}",
    ],
)
@pytest.mark.parametrize("name", _WRITERS)
def test_other_words_are_not_reported(tmp_path, forgotten, name, text):
    _WRITERS[name](tmp_path / name, text)
    assert list(find_traces([tmp_path / name], forgotten, ours=[tmp_path])) == []


def test_a_code_across_two_blocks_is_found(tmp_path, forgotten, monkeypatch):
    monkeypatch.setattr(scan, "_BLOCK", 100)
    for start in range(60, 140, 7):
        path = tmp_path / f"{start}.bin"
        path.write_bytes(b"." * start + _USER.encode() + b"." * 80)
    assert len(list(find_traces([tmp_path], forgotten))) == len(range(60, 140, 7))


def test_media_are_not_looked_through(tmp_path, forgotten):
    (tmp_path / "1.MP4").write_text(_POST)
    assert list(find_traces([tmp_path], forgotten)) == []


@pytest.fixture
def ann(forget, pseudonymizer):
    """A list with Ann's pseudonyms in a corpus."""
    code = pseudonymizer
    return forget(code.user("6700000000000000777"), code.handle("ann.kx"), _POST)


_IN_THE_CLEAR = {
    "export.json": b'{"author": {"id": 6700000000000000777}}',
    "export.ndjson": b'{"author": {"uniqueId": "Ann.kx"}}\n',
    "users.json": b'{"ann.kx": {"videos": []}}',
    "table.csv": b"name,views\nann.kx,5\n",
    "page.html": b'<a href="https://www.tiktok.com/@ann.kx/video/1">',
    "export.json.gz": gzip.compress(b'["@ann.kx"]'),
    "export.xz": lzma.compress(b'["@ann.kx"]'),
    "export.bz2": bz2.compress(b'["@ann.kx"]'),
}


@pytest.mark.parametrize("name", _IN_THE_CLEAR)
def test_a_foreign_file_that_names_somebody_in_the_clear_is_found(tmp_path, ann, name):
    (tmp_path / name).write_bytes(_IN_THE_CLEAR[name])
    [trace] = find_traces([tmp_path], ann)
    assert trace.path == tmp_path / name
    assert "ann" not in trace.reason


@pytest.mark.parametrize(
    "name", ["@ann.kx_video_1.mp4", "ann.kx/1.jpg", "Ann.kx.json.gz", f"a_{_POST}.mp4"]
)
def test_a_foreign_file_that_is_named_after_somebody_is_found(tmp_path, ann, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    [trace] = find_traces([tmp_path], ann)
    assert trace.path == path


def test_words_of_others_in_foreign_files_are_no_trace(tmp_path, ann):
    (tmp_path / "annkx.txt").write_text("ann, kx, ann.kxy, @ann.kx.b and ann.kx too")
    assert list(find_traces([tmp_path], ann)) == []


def test_unreadable_files_are_reported(tmp_path, ann):
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    reasons = [trace.reason for trace in find_traces([tmp_path], ann)]
    assert len(reasons) == 2
    assert all(r.startswith("cannot be read") for r in reasons)
