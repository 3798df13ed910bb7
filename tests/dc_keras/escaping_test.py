import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc_keras.escaping import escape_controls, escape_formulas, format_csv

_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\u001b[2J"),
        ("\x9b2J", r"\u009b2J"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u2028b\x7f\0", r"a\u2028b\u007f\u0000"),
        ("\ud83d", r"\ud83d"),
        # Joiners, variants, flags and marks of direction are how people write.
        ("👩\u200d🚀 ❤\ufe0f مرحبا\u200f 🏴\U000e0067\U000e007f", None),
    ],
)
def test_control_characters_are_escaped_and_others_are_kept(text, shown):
    assert escape_controls(text) == (text if shown is None else shown)


def test_kept_characters_stay():
    assert escape_controls("a\n\t\x1b", keep="\n\t") == "a\n\t\\u001b"


@given(st.text())
def test_no_control_character_remains(text):
    shown = escape_controls(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in _BIDI for c in shown)
    shown.encode("utf-8")
    assert escape_controls(shown) == shown


@given(
    st.recursive(
        st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_keeps_its_meaning(content):
    text = json.dumps(content, ensure_ascii=False, indent=1)
    assert json.loads(escape_controls(text, keep="\n")) == content


def test_tables_are_written_out_with_names_of_columns():
    table = pl.DataFrame({"name\x1b": ["a\u202e", None, "x,\ny"], "n": [1, None, 3]})
    assert format_csv(table) == 'name\\u001b,n\na\\u202e,1\n,\n"x,\\ny",3\n'
    assert format_csv(table.clear()) == "name\\u001b,n\n"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＠"])
def test_no_cell_is_a_formula(start):
    table = pl.DataFrame({f"{start}a": [f"{start}1", "1=1", None]})
    assert escape_formulas(table).to_dict(as_series=False) == {
        f"'{start}a": [f"'{start}1", "1=1", None]
    }
