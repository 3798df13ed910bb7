from dataclasses import replace

import numpy as np
import pytest
from drawn_graphs import layer_of

from dc_keras.errors import DataError
from dc_keras.social.adoption import DAY_S, Adoption
from dc_keras.social.backtesting import CONTAGIONS, METHODS, backtest, contagion_rate
from dc_keras.social.reach import edge_chances, simulate_reach
from dc_keras.social.snapshots import PastChallenge

_RING = layer_of([(u, (u + d) % 60, 1.0) for u in range(60) for d in (1, 2)], 60)
_FEW = {"num_runs": 40, "num_fit_runs": 10}


def _past(name, num_adopters, *, days=1.0, layer=_RING, first=0):
    """Returns a challenge whose first two adopters come within `days`."""
    times = np.full(num_adopters, days * DAY_S, np.int64)
    times[0] = 0
    rows = (first + np.arange(num_adopters)) % 60
    return PastChallenge(name, layer, Adoption(rows, times), 2)


@pytest.fixture(scope="module")
def found():
    # Faster challenges reach more users: reach = 16 / days.
    past = [_past(f"c{d}", 16 // d, days=d, first=7 * d) for d in (1, 2, 4, 8)]
    return backtest(past, **_FEW)


def test_contagion_is_the_activated_number_at_mean_strength():
    # Four edges of weight 1 each: at a small rate four times the rate are won.
    assert contagion_rate(_RING, 0.01) == pytest.approx(0.0025)
    assert contagion_rate(layer_of([(0, 1, 3.0)], 5), 0.6) == pytest.approx(0.2)
    with pytest.raises(DataError, match=r"needs an edge. Received: layer=drawn"):
        contagion_rate(layer_of([], 3), 1.0)


def test_the_mean_is_that_of_all_others(found):
    # Of 16, 8, 4 and 2 the geometric means of the three others.
    expected = [(8 * 4 * 2) ** (1 / 3), (16 * 4 * 2) ** (1 / 3)]
    expected += [(16 * 8 * 2) ** (1 / 3), (16 * 8 * 4) ** (1 / 3)]
    assert found.table["mean_predicted"].to_list() == pytest.approx(expected)
    assert found.table["actual"].to_list() == [16, 8, 4, 2]


def test_the_regression_finds_a_law_of_speed(found):
    assert found.table["speed_predicted"].to_list() == pytest.approx([16, 8, 4, 2])
    assert found.errors("speed") == pytest.approx(np.zeros(4), abs=1e-9)


def test_the_best_method_has_the_smallest_error(found):
    assert found.best == "speed"
    assert found.mean_error("speed") < found.mean_error("mean")
    # A future challenge is forecast from all: of 16, 8, 4 and 2.
    mean, low, high = found.mean_forecast()
    assert mean == pytest.approx((16 * 8 * 4 * 2) ** (1 / 4))
    assert 2 <= low < mean < high <= 16


def test_the_summary_equals_the_formulas(found):
    summary = {row["method"]: row for row in found.summary().iter_rows(named=True)}
    assert tuple(summary) == METHODS
    errors = np.abs(np.log(found.table["mean_predicted"] / found.table["actual"]))
    assert summary["mean"]["log_error"] == pytest.approx(errors.mean())
    assert summary["mean"]["above_mean"] == 0.0
    assert summary["speed"]["above_mean"] == pytest.approx(-errors.mean())
    assert summary["speed"]["above_mean_high"] < 0
    for row in summary.values():
        assert row["log_error_low"] <= row["log_error"] <= row["log_error_high"]
        assert row["challenges"] == 4


def test_a_cascade_of_the_model_is_forecast_correctly():
    """The contagion of challenges drawn from the cascade is recovered."""
    rate = contagion_rate(_RING, 0.8)
    past = []
    for number in range(30):
        seeds = np.array([number * 2, (number * 2 + 30) % 60])
        run = simulate_reach(edge_chances(_RING, rate), seeds, num_runs=1, seed=number)
        others = np.setdiff1d(np.flatnonzero(run.chances), seeds)
        rows = np.concatenate([seeds, others])
        times = np.concatenate([[0, 1], np.full(len(others), 2)])
        past.append(PastChallenge(f"c{number}", _RING, Adoption(rows, times), 2))
    found = backtest(past, num_runs=200, num_fit_runs=40)
    assert 0.5 <= found.contagion <= 1.2
    table = found.table
    inside = (table["actual"] >= table["cascade_low"]) & (
        table["actual"] <= table["cascade_high"]
    )
    # 27 of 30 are expected; fewer than 22 would come in one of a hundred.
    assert inside.sum() >= 22


def test_a_forecast_does_not_use_its_own_challenge():
    """Its outcome changes the forecasts of others only."""
    first, *others = [_past(f"c{d}", 3 * d, days=d, first=7 * d) for d in (1, 2, 4, 8)]
    grown = replace(first, adoption=_past("c1", 50, first=7).adoption)
    one, two = (backtest([made, *others], **_FEW).table for made in (first, grown))
    known = [name for name in one.columns if name != "actual"]
    assert one.row(0, named=True)["actual"] != two.row(0, named=True)["actual"]
    assert one.select(known).row(0) == two.select(known).row(0)
    assert one.select(known).rows()[1:] != two.select(known).rows()[1:]


def test_equal_seeds_give_equal_answers(found):
    past = [_past(f"c{d}", 16 // d, days=d, first=7 * d) for d in (1, 2, 4, 8)]
    messages = []
    again = backtest(past, **_FEW, progress=messages.append)
    assert again.table.equals(found.table)
    assert again.summary().equals(found.summary())
    assert messages[0] == "1 of 4: cascades of c1"
    assert again.contagion in CONTAGIONS


def test_a_backtest_needs_two_challenges():
    with pytest.raises(DataError, match=r"two past challenges.*challenges=1"):
        backtest([_past("alone", 5)])
