import json
from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest
from drawn_graphs import layer_of

pytest.importorskip("networkx", reason="the extra `social` is not installed")
from dc_keras.social.adoption import DAY_S, Adoption, AlongEdges
from dc_keras.social.backtesting import METHODS, PastChallenge, backtest
from dc_keras.social.reach import Reach
from dc_keras.social.reach_report import ReachReport, WhatIf

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
        {"jump": AlongEdges(9, 0.5, 0.25, 0.1, 2, 999)},
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


def _tested(report, cascade, mean, **changes):
    """Returns the report after a backtest with given forecasts of 3 and 2 adopters."""
    forecasts = {"cascade_predicted": cascade, "mean_predicted": mean}
    table = report.backtests.table.with_columns(
        pl.Series(name, values) for name, values in forecasts.items()
    ).with_columns(speed_predicted=pl.lit(9.0))
    what_if = replace(report.what_if, **changes)
    backtests = replace(report.backtests, table=table)
    return replace(report, backtests=backtests, what_if=what_if)


def test_the_forecast_is_that_of_the_better_method(report):
    better = _tested(report, cascade=[3.0, 2.0], mean=[2.0, 3.0])
    assert better.forecast() == better.what_if.forecast()
    first, seeds, _ = better.explain_forecast()
    assert first.startswith("About 2 users are expected to join, 90 % between 1 and 3,")
    assert "by the cascade along ties. It did best in the backtest" in first
    assert seeds.startswith("It starts from the 1 seeds")

    worse = _tested(report, cascade=[9.0, 9.0], mean=[3.0, 2.0])
    forecast = worse.forecast()
    assert (forecast.method, forecast.expected) == ("mean", pytest.approx(6**0.5))
    first, seeds, _ = worse.explain_forecast()
    assert "by the mean of other challenges. It did best" in first
    assert "ends at 2.0 users" in seeds

    untested = replace(report, backtests=None)
    assert untested.forecast() == report.what_if.forecast()
    assert "too few past challenges" in untested.explain_forecast()[0]
    assert replace(report, what_if=None).explain_forecast() == []


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (None, "The command rank answers another question: it adds up"),
        (2.5, "The command rank would forecast 2.5, which agrees with the interval: "),
        (40.0, "would forecast 40.0, which lies outside the interval: it adds up"),
    ],
)
def test_the_forecast_is_compared_with_that_of_rank(report, asked, wanted):
    found = _tested(report, cascade=[3.0, 2.0], mean=[9.0, 9.0], asked=asked)
    assert wanted in found.explain_forecast()[-1]


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
    assert content["what_if"]["forecast"] == asdict(report.forecast())
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
    bare = ReachReport(_ADOPTIONS, {}, {}, None, None)
    bare.write(tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {
        *("replication.csv", "along_ties.csv", "reach.json", "SHA256SUMS")
    }
    assert bare.along_edges().height == 0
