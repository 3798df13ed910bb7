import zipfile

import numpy as np
import polars as pl
import pytest

from dc_keras.forgetting import scan
from dc_keras.forgetting.scan import find_traces

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
    "lists.parquet": lambda path, code: pl.DataFrame(
        {"a": [[], [f"@{code}!"]]}
    ).write_parquet(path, statistics=False),
}


@pytest.mark.parametrize("code", [_POST, _USER, _MENTION])
@pytest.mark.parametrize("name", _WRITERS)
def test_a_code_is_found_in_any_file(tmp_path, forgotten, name, code):
    _WRITERS[name](tmp_path / name, code)
    assert list(find_traces([tmp_path], forgotten)) == [tmp_path / name]


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
def test_other_words_are_no_trace(tmp_path, forgotten, name, text):
    _WRITERS[name](tmp_path / name, text)
    assert list(find_traces([tmp_path / name], forgotten)) == []


def test_a_code_across_two_blocks_is_found(tmp_path, forgotten, monkeypatch):
    monkeypatch.setattr(scan, "_BLOCK", 100)
    for start in range(60, 140, 7):
        path = tmp_path / f"{start}.bin"
        path.write_bytes(b"." * start + _USER.encode() + b"." * 80)
    assert len(list(find_traces([tmp_path], forgotten))) == len(range(60, 140, 7))


def test_media_are_not_looked_through(tmp_path, forgotten):
    (tmp_path / "1.MP4").write_text(_POST)
    assert list(find_traces([tmp_path], forgotten)) == []
