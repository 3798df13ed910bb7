import json
import re

import pytest

from dc_keras.corpus.importing.sources.json_repair import DAMAGED, read_values
from dc_keras.corpus.importing.sources.pieces import Piece
from dc_keras.corpus.importing.sources.reading import read_documents

_A, _B = {"id": "1", "text": "a // b /* c */, ]"}, {"id": "2", "text": 'caf\u00e9 "q"'}
_BOTH = json.dumps([_A, _B])


@pytest.mark.parametrize(
    "text",
    [
        _BOTH.replace("}]", "},]"),
        _BOTH.replace("}, {", "}, // next\n{"),
        _BOTH.replace("}, {", "}, /* next\n one */ {"),
        "// of June\n" + _BOTH,
        "/* of June */" + _BOTH + "// end",
        repr([_A, _B]),
        re.sub(r'"(id|text)":', r"\1:", _BOTH),  # names without quotes
        "var posts = " + _BOTH + ";",
        "export default " + _BOTH + ";",
        "module.exports = " + _BOTH,
        "callback(" + _BOTH + ");",
        "for (;;);" + _BOTH,
        "```json\n" + _BOTH + "\n```",
        "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n" + _BOTH,
    ],
)
def test_values_are_read_despite_surrounding_text(text):
    assert read_values(text) == ([[_A, _B]], None)


@pytest.mark.parametrize("between", ["", " ", "\n", ",", ",\n", "\x1e", "\x00"])
def test_concatenated_values_are_read(between):
    text = between.join(json.dumps(value, indent=1) for value in (_A, _B))
    assert read_values(text) == ([_A, _B], None)


def test_the_intact_part_is_kept_at_any_truncation():
    first_end = _BOTH.index("}") + 1
    for end in range(first_end, len(_BOTH)):
        [[first, *rest]], reason = read_values(_BOTH[:end])
        assert (first, reason) == (_A, DAMAGED)
        # The second object is truncated; its values so far are correct.
        assert all(entry.items() <= _B.items() for entry in rest)


@pytest.mark.parametrize(
    ("mark", "value"), [("NaN", None), ("Infinity", None), ("undefined", None)]
)
def test_nan_and_infinity_are_none(mark, value):
    [[found]], reason = read_values('[{"id": "1", "n": ' + mark + "}]")
    assert reason is None
    assert found["n"] is None or found["n"] != found["n"] or found["n"] == float("inf")


def test_a_file_truncated_within_a_character_is_read(tmp_path):
    data = json.dumps([_A, _B], ensure_ascii=False).encode()
    (tmp_path / "a").write_bytes(data[: data.index("é".encode()) + 1])
    whole, cut = read_documents(Piece(tmp_path / "a"))
    assert whole.value[0] == _A
    assert cut.reason == DAMAGED


def test_line_ends_and_tabs_in_strings_are_accepted(tmp_path):
    (tmp_path / "a").write_text('[{"text": "a\nb\tc"}]')
    [document] = read_documents(Piece(tmp_path / "a"))
    assert document.value == [{"text": "a\nb\tc"}]
