import re

import pytest

from dc_keras.errors import DataError
from dc_keras.study.audit.published_table import PublishedRow, read_table

_HEAD = "model,precision,recall,f1\n"


@pytest.fixture
def typed(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_columns_come_in_any_order_with_others_beside_them(typed):
    table = read_table(
        typed("\ufeffF1, Model ,auc,Recall,task,PRECISION\n.3,m,?,.2,user,.1\n")
    )
    assert table.rows == (PublishedRow("user m", 0.1, 0.2, 0.3),)
    assert table.name == "table.csv"


@pytest.mark.parametrize(
    ("numbers", "rounding"),
    [(".1,.2,.3", 0.05), ("0.10,.2,1", 0.005), ("0,1,.125", 0.0005)],
)
def test_rounding_follows_the_longest_number(typed, numbers, rounding):
    # A spreadsheet changes .200 to .2.
    table = read_table(typed(f"{_HEAD}\nm,{numbers}\n"))
    assert table.rounding == pytest.approx(rounding)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the header must name model, precision, recall, f1, each once. Received: nothing"),
        ("model,precision,f1\n", "line 1: the header must name"),
        ("model,f1,precision,recall,f1\n", "each once. Received: model, f1, precision"),
        (_HEAD, "must have a row below its header. Received: none"),
        (_HEAD + "m,.1,.2\n", "line 2: must have 4 cells, like the header. Received: 3"),
        (_HEAD + "a,.1,.2,.2\nm,.1,x,.2\n", "line 3, column recall: must be a number from 0 to 1. Received: recall='x'"),
        (_HEAD + "m,8.3,.1,.1\n", "column precision: must be a number from 0 to 1; 8.3 % is .083. Received: precision='8.3'"),
        (_HEAD + "m,8.3%,.1,.1\n", "8.3 % is .083"),
        (_HEAD + "m,-.1,.1,.1\n", "must be a number from 0 to 1"),
        (_HEAD + "m,.1,nan,.1\n", "Received: recall='nan'"),
        (_HEAD + 'm,"0,1",.1,.1\n', "Received: precision='0,1'"),
        (_HEAD + ",.1,.1,.1\n", "line 2, column model: must not be empty. Received: model=''"),
        (_HEAD.encode() + b"\xff,.1,.1,.1\n", "must be a CSV in UTF-8"),
    ],
)  # fmt: skip
def test_invalid_table_is_refused_with_line_and_column(typed, text, message):
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_table(typed(text))
    assert "table.csv" in str(error.value)
    assert "\n" not in str(error.value)
