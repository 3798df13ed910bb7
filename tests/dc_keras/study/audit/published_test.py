import re

import pytest

from dc_keras.errors import DataError
from dc_keras.evaluation.result_tables import PAPER_TABLE_II
from dc_keras.study.audit.published import (
    PublishedRow,
    PublishedTable,
    check_table,
    read_table,
)


def _table(*rows, rounding=0.0005):
    return PublishedTable("t.csv", tuple(PublishedRow(*row) for row in rows), rounding)


def _texts(check):
    return {finding.where["rows"][0]: finding.what for finding in check.findings}


@pytest.fixture
def paper(tmp_path):
    """Table II as a CSV file."""
    lines = [f"{model},{p},{r},{f}" for model, (p, r, f) in PAPER_TABLE_II.items()]
    path = tmp_path / "table_ii.csv"
    path.write_text("\n".join(["model,precision,recall,f1", *lines]), "utf-8")
    return read_table(path)


def test_impossible_rows_of_the_paper_are_named_with_identities(paper):
    identities, feasible = check_table(paper, num_classes=2)
    sides = "for two classes both lie on one side of .5"
    assert _texts(identities) == {
        "VGG16": "VGG16 is impossible: F1 .083 > 2P = .034",
        "VGG16+BERT": f"VGG16+BERT is impossible: R > .5 but P < .5: P .188, R .750, but {sides}",
        "ResNet50+BERT": f"ResNet50+BERT is impossible: R > .5 but P < .5: P .187, R .750, but {sides}",
        "deepChallenger": f"deepChallenger is impossible: R > .5 but P < .5: P .494, R .933, but {sides}",
    }  # fmt: skip
    assert {finding.severity for finding in identities.findings} == {"fault"}
    assert identities.num_checked == 5
    assert "--prevalence" in feasible.not_run


def test_last_row_of_the_paper_is_impossible_at_the_prevalence(paper):
    # 3 of 12 challenges at least: a quarter of the pairs is positive.
    _, feasible = check_table(paper, num_classes=2, prevalence=0.25)
    assert (
        "ResNet50 is impossible at a prevalence of .250" in _texts(feasible)["ResNet50"]
    )
    assert feasible.num_checked == 1


def test_many_classes_have_fewer_identities(paper):
    identities, _ = check_table(paper)
    assert list(_texts(identities)) == ["VGG16"]


def test_possible_row_has_no_finding():
    # TP 30, FN 10, FP 20, TN 60 of 120: P (30/50 + 60/70)/2, R (30/40 + 60/80)/2,
    # F1 (2·30/90 + 2·60/150)/2.
    honest = _table(("m", 0.729, 0.750, 0.733))
    checks = check_table(honest, num_classes=2, prevalence=40 / 120)
    assert [(check.num_checked, check.findings) for check in checks] == 2 * [(1, ())]


def test_two_decimals_have_a_larger_tolerance():
    row = ("m", 0.33, 0.33, 0.34)
    assert not check_table(_table(row, rounding=0.005))[0].findings
    assert check_table(_table(row, rounding=0.0005))[0].findings


def test_values_of_one_class_are_recognised():
    # TP 30, FN 70, FP 20: P .6, R .3, F1 .4.
    one_class = _table(("m", 0.6, 0.3, 0.4))
    [finding] = check_table(one_class, num_classes=2)[0].findings
    assert "P > .5 but R < .5" in finding.what
    assert "--table_averaging=yes" in finding.advice
    assert not check_table(one_class, averaging="yes")[0].findings
    [finding] = check_table(_table(("m", 0.6, 0.3, 0.5)), averaging="yes")[0].findings
    assert finding.what == "m is impossible: F1 ≠ 2PR/(P+R): F1 .500, 2PR/(P+R) = .400"


def test_precision_below_the_smallest_possible_is_a_fault():
    # At recall 1 and a prevalence of .5, calling all gives P .5, F1 .667.
    rows = _table(("no", 0.2, 1.0, 0.333), ("yes", 0.5, 1.0, 0.667))
    options = {"num_classes": 2, "averaging": "yes", "prevalence": 0.5}
    _, feasible = check_table(rows, **options)
    assert list(_texts(feasible)) == ["no"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prevalence": 0.2}, "`prevalence` requires a table of two classes"),
        (
            {"num_classes": 2, "prevalence": 1.0},
            "`prevalence` must be strictly between 0 and 1",
        ),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        check_table(_table(("m", 0.5, 0.5, 0.5)), **options)


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
