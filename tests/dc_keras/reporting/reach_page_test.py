import re

import numpy as np
import pytest
from drawn_graphs import layer_of

pytest.importorskip("networkx", reason="the extra `social` is not installed")
pytest.importorskip("plotly", reason="the extra `report` is not installed")
from dc_keras.reporting.reach_page import render_reach_page
from dc_keras.social.adoption import DAY_S, Adoption, measure_along_edges
from dc_keras.social.backtesting import PastChallenge, backtest
from dc_keras.social.reach import simulate_reach
from dc_keras.social.reach_report import METHOD_NAMES, ReachReport, WhatIf

_HOSTILE = "<script>alert(1)</script>"
_OBEYED = f"{_HOSTILE}\x1b\u202e"
_RING = layer_of([(u, (u + 1) % 30, 0.5) for u in range(30)], 30)


@pytest.fixture(scope="module")
def report():
    """A report of twelve challenges on a ring, the first with a hostile name."""
    adoptions = {
        f"{_OBEYED if c == 0 else 'dance'} {c}": Adoption(
            np.arange(2 + c), np.arange(2 + c) * DAY_S
        )
        for c in range(12)
    }
    past = [PastChallenge(n, _RING, adopted, 2) for n, adopted in adoptions.items()]
    reach = simulate_reach(_RING.weights, np.array([0, 3]), num_runs=20)
    return ReachReport(
        adoptions,
        {
            n: measure_along_edges(_RING, a, num_shuffles=9)
            for n, a in adoptions.items()
        },
        {"other": "fewer than 2 adopters"},
        backtest(past, num_runs=5, num_fit_runs=2),
        WhatIf(reach, 2, 1.5, 0.4, tuple(f"u_{row:02d}" for row in range(30))),
    )


@pytest.fixture(scope="module")
def page(report):
    return render_reach_page(report, "drawn <b>", is_synthetic=True)


def _without_plotly(page):
    return re.sub(r"<script>/\*\*.*?</script>", "", page, count=1, flags=re.S)


def test_the_page_shows_the_results(page, report):
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>drawn &lt;b&gt;</title>" in page
    row = report.backtests.summary().row(0, named=True)
    assert f"<td>{row['log_error']:.3f}</td>" in page
    assert f"{row['within']} of 12" in page
    assert "Without a forecast: 1 challenges" in page
    assert "Of 2 seeds, 1.5 are expected to join" in page
    assert '<th scope="row">u_00</th>' in page
    assert '<span class="badge">synthetic</span>' in page
    best = METHOD_NAMES[report.backtests.best]
    assert f"<strong>{best.capitalize()}, the best</strong>" in page
    for sentence in report.explain_forecast():
        assert sentence in page


def test_names_from_the_data_are_harmless(page):
    text = _without_plotly(page)
    assert len(page) - len(text) > 1_000_000
    assert _HOSTILE not in text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;\u001b\u202e" in text
    assert not {"\x1b", "\u202e"} & set(text)


def test_missing_parts_are_not_on_the_page(report):
    bare = ReachReport(report.adoptions, {}, {}, None, None)
    page = _without_plotly(render_reach_page(bare, "bare"))
    for word in ("backtest", "what-if", "u_00"):
        assert word not in page


def test_equal_reports_give_equal_pages(page, report):
    assert render_reach_page(report, "drawn <b>", is_synthetic=True) == page


def test_the_page_can_be_read_on_a_phone_and_on_a_desk(check_page, page):
    shown = check_page(page)
    assert shown.locator(".plot").count() == 5
