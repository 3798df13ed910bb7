import json

import numpy as np
import polars as pl
import pytest
from drawn_graphs import layer_of

pytest.importorskip("networkx", reason="the extra `social` is not installed")
from dc_keras.social.adoption import DAY_S, Adoption, AlongEdges
from dc_keras.social.backtesting import METHODS, backtest
from dc_keras.social.reach import Reach
from dc_keras.social.reach_report import ReachReport, WhatIf
from dc_keras.social.snapshots import PastChallenge

_RING = layer_of([(u, (u + 1) % 9, 1.0) for u in range(9)], 9)
_ADOPTIONS = {
    "=spin": Adoption(np.arange(3), np.array([0, 1, 3]) * DAY_S),
    "jump": Adoption(np.arange(2), np.array([0, 0])),
    "none": Adoption(np.zeros(0, np.int64), np.zeros(0, np.int64)),
}


@pytest.fixture(scope="module")
def report():
    past = [
        PastChallenge(name, _RING, adoption, 1)
        for name, adoption in _ADOPTIONS.items()
        if len(adoption.rows)
    ]
    reach = Reach(
        np.array([[1, 1], [1, 3]]), np.array([1, 3]), np.array([1.0, 0.5, 0.5])
    )
    return ReachReport(
        _ADOPTIONS,
        {"jump": AlongEdges(0.5, 0.25, 0.1, 2, 999)},
        {"jump": 9},
        {"none": "fewer than 1 adopters"},
        backtest(past, num_runs=5, num_fit_runs=2),
        WhatIf(reach, 1, 1.0, 0.5, ("u_b", "u_a", "u_c")),
    )


def test_replication_has_every_day(report):
    table = report.replication()
    spin = table.filter(pl.col("challenge") == "=spin")
    assert spin["cumulative"].to_list() == [1, 2, 2, 3]
    assert table.height == 5


def test_users_are_sorted_by_chance(report):
    chances = report.what_if.chances()
    assert chances["user_id"].to_list() == ["u_b", "u_a", "u_c"]
    assert report.what_if.curve().to_dicts()[1] == {
        "wave": 1,
        "mean": 2.0,
        "low": pytest.approx(1.1),
        "high": pytest.approx(2.9),
    }


def test_files_equal_the_tables_and_only_one_has_user_ids(report, tmp_path):
    paths = report.write(tmp_path / "new", {"seed": 0})
    assert [path.name for path in paths] == [
        *("replication.csv", "along_ties.csv", "backtest.csv"),
        *("backtest_summary.csv", "what_if.csv", "users.csv", "reach.json"),
    ]
    sums = tmp_path / "new" / "SHA256SUMS"
    assert set((tmp_path / "new").iterdir()) == {*paths, sums}
    content = json.loads(paths[-1].read_text("utf-8"))
    assert content["seed"] == 0
    assert content["left_out"] == {"none": "fewer than 1 adopters"}
    assert [row["method"] for row in content["backtest"]["summary"]] == list(METHODS)
    assert content["what_if"]["waves"][0] == {
        "wave": 0,
        "mean": 1.0,
        "low": 1.0,
        "high": 1.0,
    }
    naming = [path.name for path in paths if "u_a" in path.read_text("utf-8")]
    assert naming == ["users.csv"]
    # No spreadsheet runs the name of a challenge.
    assert pl.read_csv(paths[0])["challenge"][0] == "'=spin"


def test_missing_parts_have_no_file(report, tmp_path):
    report.write(tmp_path, {})
    bare = ReachReport(_ADOPTIONS, {}, {}, {}, None, None)
    bare.write(tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {
        *("replication.csv", "along_ties.csv", "reach.json", "SHA256SUMS")
    }
    assert bare.along_edges().height == 0
