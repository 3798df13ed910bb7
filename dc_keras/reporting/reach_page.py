"""The page of reach: how challenges spread, along ties or not, and how far one goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jinja2
from plotly.graph_objects import Figure
from plotly.offline import get_plotlyjs

from dc_keras.corpus.store import write_sealed
from dc_keras.evaluation.result_tables import Cell, Table
from dc_keras.reporting import reach_figures
from dc_keras.reporting.page import Plot, page_environment
from dc_keras.social.reach_report import ReachReport
from dc_keras.version import __version__

_MOST_ROWS = 30
_NUM_LIKELY = 20
_METHODS = {
    "cascade": "cascade along ties",
    "mean": "mean of the others",
    "speed": "speed of the first",
}


def write_reach_page(report: ReachReport, output: Path, title: str) -> None:
    """Writes the page, whole or not at all; it needs no network.

    Args:
        report: what it says.
        output: the page, .html; its folder is made if need be.
        title: of the page.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(output, render_reach_page(report, title))


def render_reach_page(report: ReachReport, title: str) -> str:
    """Returns the page as HTML."""
    environment: jinja2.Environment = page_environment()
    page = environment.get_template("reach.html.jinja").render(
        title=title,
        # No row is ours in particular.
        ours="\0",
        replication=_plot(
            "Replication",
            "Participants up to each day; the largest challenges in colour.",
            reach_figures.replication_figure(report.replication()),
        ),
        along=_along_table(report),
        foretold=list(_foretold_plots(report)),
        backtest=_backtest_table(report),
        what_if=None if report.what_if is None else _what_if_plot(report),
        likely=None if report.what_if is None else _likely_table(report),
        version=__version__,
        plotly_script=get_plotlyjs(),
    )
    return page.lstrip()


def _plot(title: str, caption: str, figure: Figure, is_wide: bool = True) -> Plot:
    return Plot(title, caption, json.loads(figure.to_json()), is_wide)


def _along_table(report: ReachReport) -> Table:
    table = report.along_edges()
    rows: list[tuple[Cell, ...]] = [
        (
            row["challenge"],
            f"{row['num_adopters']:,}",
            f"{row['ties']:,}",
            row["share"],
            row["expected"],
            row["p_value"],
        )
        for row in table.sort("p_value").head(_MOST_ROWS).iter_rows(named=True)
    ]
    num_small = table.filter(table["p_value"] <= 0.05).height
    return Table(
        "Did it run along ties?",
        ("challenge", "participants", "ties before", "followed", "by chance", "p"),
        tuple(rows),
        (
            f"p of at most 0.05 in {num_small} of {table.height} challenges; chance "
            f"alone gives {0.05 * table.height:.1f}.",
            "followed: share of the participants who were tied to somebody who had "
            "joined before them. by chance: the same people, times shuffled among "
            "them. Ties are those of before the challenge's first post. A small p also "
            "comes from whatever reaches tied users at about the same time.",
        ),
    )


def _foretold_plots(report: ReachReport) -> Iterator[Plot]:
    if report.backtests is None:
        return
    for method, name in _METHODS.items():
        figure = reach_figures.backtest_figure(report.backtests.table, method)
        caption = "A dot is a past challenge; on the dotted line it was foretold right."
        yield _plot(f"Foretold by the {name}.", caption, figure, is_wide=False)


def _backtest_table(report: ReachReport) -> Table | None:
    if report.backtests is None:
        return None
    rows: list[tuple[Cell, ...]] = [
        (
            _METHODS[row["method"]],
            row["log_error"],
            _interval(row["log_error_low"], row["log_error_high"]),
            row["above_mean"],
            _interval(row["above_mean_low"], row["above_mean_high"]),
            f"{row['users_error']:.1f}",
            f"{row['within']} of {row['challenges']}",
        )
        for row in report.backtests.summary().iter_rows(named=True)
    ]
    return Table(
        "Past challenges, each foretold with what was fitted on all others",
        (
            *("way", "log error", "95 %", "above the mean's", "95 % of it"),
            *("users off", "in the band of 90 %"),
        ),
        tuple(rows),
        (
            "log error: mean of |log(foretold / true participants)|. above the mean's: "
            "paired, below 0 is better. Intervals: bootstrap over challenges.",
            "Participants are those known to the corpus, the first adopters among "
            f"them. Not foretold: {len(report.left_out)} challenges.",
        ),
    )


def _what_if_plot(report: ReachReport) -> Plot:
    what_if = report.what_if
    if what_if is None:
        raise ValueError("there must be seeds")
    return _plot(
        "From the seeds",
        f"{what_if.num_seeds:,} users are asked, {what_if.expected_seeds:,.1f} of them "
        "are expected to join; the others are won along ties.",
        reach_figures.curve_figure(what_if.curve()),
    )


def _likely_table(report: ReachReport) -> Table:
    what_if = report.what_if
    if what_if is None:
        raise ValueError("there must be seeds")
    rows = what_if.chances().head(_NUM_LIKELY).iter_rows()
    return Table(
        "Who most likely joins",
        ("user", "share of the runs"),
        tuple((user, chance) for user, chance in rows),
        (
            f"contagion: somebody of mean strength wins {what_if.contagion:.2f} users "
            "at first.",
        ),
    )


def _interval(low: float, high: float) -> str:
    return f"[{low:.3f} {high:.3f}]"
