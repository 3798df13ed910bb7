import json
import re

import pytest

from dc_keras.evaluation.result_tables import (
    PAPER_TABLE_I,
    PAPER_TABLE_II,
    Table,
    paper_cells,
)
from dc_keras.evaluation.results import (
    judge_split,
    participation_table,
    table_one,
)

# As the paper prints them; its "ResNet-50" is our ResNet50.
_PRINTED_I = """
challenge VGG16           .248 .186 .153
challenge VGG16+BERT      .660 .563 .494
challenge ResNet50        .257 .174 .125
challenge ResNet50+BERT   .583 .486 .385
user      VGG16           .163 .558 .163
user      VGG16+BERT      .186 .749 .188
user      ResNet50        .194 .725 .195
user      ResNet50+BERT   .197 .733 .197
"""
_PRINTED_II = """
VGG16          .017 .200 .083
VGG16+BERT     .188 .750 .188
ResNet50       .050 .059 .050
ResNet50+BERT  .187 .750 .188
deepChallenger .494 .933 .494
"""

_TABLE = Table(
    title="A title",
    columns=("model", "AP", "classes", "paper"),
    rows=(("ours", 0.12345, "12", None), ("a longer name", 1.0, "3", ".5 / .6 / .7")),
    notes=("AP: what it means.", "a second note"),
)


def _console_cells(table):
    lines = table.to_console().split("\n")[1 : len(table.rows) + 3]
    assert len({len(line) for line in lines}) == 1
    head, rule, *body = lines
    assert set(rule) == {"─"}
    assert re.split(" {2,}", head) == list(table.columns)
    return [re.split(" {2,}", line) for line in body]


def _markdown_cells(table):
    lines = table.to_markdown().split("\n")
    rows = [line for line in lines if line.startswith("|")]
    split = [[cell.strip() for cell in row[1:-1].split(" | ")] for row in rows]
    assert split[0] == list(table.columns)
    assert split[1] == ["---"] * len(table.columns)
    return split[2:]


def _printed(cell):
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else cell


def test_floats_have_three_decimals_and_nothing_is_a_dash():
    expected = [["ours", "0.123", "12", "–"]]
    expected += [["a longer name", "1.000", "3", ".5 / .6 / .7"]]
    assert _console_cells(_TABLE) == expected
    assert _markdown_cells(_TABLE) == expected


def test_console_aligns_names_left_and_numbers_right():
    assert _TABLE.to_console().split("\n") == [
        "A title",
        "model             AP  classes         paper",
        "───────────────────────────────────────────",
        "ours           0.123       12             –",
        "a longer name  1.000        3  .5 / .6 / .7",
        "  AP: what it means.",
        "  a second note",
    ]


def test_markdown_is_a_table_with_a_heading_and_a_list_of_notes():
    assert _TABLE.to_markdown().split("\n") == [
        "### A title",
        "",
        "| model | AP | classes | paper |",
        "| --- | --- | --- | --- |",
        "| ours | 0.123 | 12 | – |",
        "| a longer name | 1.000 | 3 | .5 / .6 / .7 |",
        "",
        "- AP: what it means.",
        "- a second note",
        "",
    ]


def test_markdown_escapes_cells():
    table = Table("t", ("challenge", "n"), (("a|<b>", "1"),), ())
    assert table.to_markdown().split("\n")[4] == r"| a\|&lt;b> | 1 |"


def test_latex_is_a_table_of_booktabs():
    assert _TABLE.to_latex().split("\n") == [
        r"\begin{table}",
        r"\caption{A title}",
        r"\centering",
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"model & AP & classes & paper \\",
        r"\midrule",
        r"ours & 0.123 & 12 & -- \\",
        r"a longer name & 1.000 & 3 & .5 / .6 / .7 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\footnotesize AP: what it means.",
        r"\par\footnotesize a second note",
        r"\end{table}",
        "",
    ]


def test_latex_escapes_cells():
    row = (r"\input{x} 5 % & $a_b$ #c ~ ^ [1] ×", "Δ > 0")
    cells = Table("t", ("a", "b"), (row,), ()).to_latex().split("\n")[7]
    assert cells == (
        r"\textbackslash{}input\{x\} 5 \% \& \$a\_b\$ \#c \textasciitilde{} "
        r"\textasciicircum{} {[}1] $\times$ & $\Delta$ \textgreater{} 0 \\"
    )


def test_json_is_unrounded():
    assert json.loads(_TABLE.to_json()) == {
        "title": "A title",
        "columns": ["model", "AP", "classes", "paper"],
        "rows": [
            ["ours", 0.12345, "12", None],
            ["a longer name", 1.0, "3", ".5 / .6 / .7"],
        ],
        "notes": ["AP: what it means.", "a second note"],
    }


@pytest.mark.parametrize("name", ["one", "random_pair", "cold_user"])
def test_all_formats_of_a_real_table_have_the_same_cells(run, name):
    if name == "one":
        table = table_one(run.directory, "made up")
    else:
        table = participation_table(judge_split(run.directory, name), "made up")
    as_json = json.loads(table.to_json())
    assert as_json["rows"] == [list(row) for row in table.rows]
    printed = [[_printed(cell) for cell in row] for row in as_json["rows"]]
    assert _console_cells(table) == printed
    assert _markdown_cells(table) == printed
    for text in (table.to_console(), table.to_markdown()):
        assert table.title in text
        assert all(note in text for note in table.notes)


def test_paper_rows_are_the_papers():
    one, two = {}, {}
    for line in _PRINTED_I.strip().splitlines():
        kind, variant, *numbers = line.split()
        one[kind, variant] = tuple(map(float, numbers))
    for line in _PRINTED_II.strip().splitlines():
        model, *numbers = line.split()
        two[model] = tuple(map(float, numbers))
    assert one == PAPER_TABLE_I
    assert two == PAPER_TABLE_II


def test_paper_cells_have_the_violated_identities():
    assert paper_cells(PAPER_TABLE_II["VGG16"], is_binary=True) == [
        "0.017 / 0.200 / 0.083",
        "F1 > 2P",
    ]
    assert paper_cells((0.2, 0.1, 0.4), is_binary=True)[1] == "F1 > 2R; F1 > (P+R)/2"
    assert paper_cells(PAPER_TABLE_I["user", "VGG16"], is_binary=False)[1] == "none"
    assert paper_cells(None, is_binary=True) == [None, None]
