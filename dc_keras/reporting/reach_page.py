"""The page of reach and its plots: spread of challenges, forecasts, from seeds."""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go
import polars as pl

from dc_keras.evaluation.result_tables import Cell, Table
from dc_keras.reporting.templating import (
    DOTTED,
    GREY,
    Plot,
    html_label,
    render_template,
)
from dc_keras.social.graph_view import OTHER, PALETTE
from dc_keras.social.reach_report import METHOD_NAMES, ReachReport, WhatIf

_MOST_ROWS = 30
_NUM_LIKELY = 20
# The number of coloured curves; more colours could not be distinguished.
_NUM_NAMED = len(PALETTE)
_HEIGHT_PX = 360


def render_reach_page(
    report: ReachReport, title: str, *, is_synthetic: bool = False
) -> str:
    """Returns the self-contained page as HTML."""
    return render_template(
        "reach.html.jinja",
        title=title,
        is_synthetic=is_synthetic,
        verdict=report.explain_forecast(),
        replication=Plot.of(
            "Replication",
            "Cumulative participants by day (UTC); the largest challenges are "
            "coloured.",
            replication_figure(report.replication()),
            is_wide=True,
        ),
        along=_along_table(report),
        forecasts=list(_forecast_plots(report)),
        backtest=_backtest_table(report),
        what_if=None if report.what_if is None else _what_if_plot(report.what_if),
        likely=None if report.what_if is None else _likely_table(report.what_if),
    )


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
        "Adoption along ties",
        ("challenge", "participants", "ties before", "followed", "by chance", "p"),
        tuple(rows),
        (
            f"p ≤ 0.05 in {num_small} of {table.height} challenges; "
            f"{0.05 * table.height:.1f} are expected by chance.",
            "followed: share of participants with a tie to an earlier participant. by "
            "chance: expected share with shuffled times. ties before: ties from posts "
            "before the challenge's first post. A small p may also have a common cause "
            "that reaches connected users at about the same time.",
        ),
    )


def _forecast_plots(report: ReachReport) -> Iterator[Plot]:
    if report.backtests is None:
        return
    caption = "A dot is a past challenge; the dotted line is a correct forecast."
    for method in sorted(METHOD_NAMES, key=report.backtests.mean_error):
        figure = backtest_figure(report.backtests.table, method)
        best = ", the best" if method == report.backtests.best else ""
        title = f"{METHOD_NAMES[method].capitalize()}{best}"
        yield Plot.of(title, caption, figure)


def _backtest_table(report: ReachReport) -> Table | None:
    if report.backtests is None:
        return None
    rows: list[tuple[Cell, ...]] = [
        (
            METHOD_NAMES[row["method"]],
            row["log_error"],
            _interval(row["log_error_low"], row["log_error_high"]),
            row["above_mean"],
            _interval(row["above_mean_low"], row["above_mean_high"]),
            f"{row['users_error']:.1f}",
            f"{row['within']} of {row['challenges']}",
        )
        for row in report.backtests.summary().sort("log_error").iter_rows(named=True)
    ]
    return Table(
        "Backtest: leave-one-out forecasts of past challenges",
        (
            *("method", "log error", "95 %", "difference to mean", "95 %"),
            *("error in users", "within the 90 % interval"),
        ),
        tuple(rows),
        (
            "log error: mean of |log(forecast / true participants)|. difference to "
            "mean: paired difference of the log error to that of the mean of other "
            "challenges, negative is better. Intervals: bootstrap over challenges.",
            "Participants are those in the corpus, including the first adopters. "
            f"Without a forecast: {len(report.left_out)} challenges.",
        ),
    )


def _what_if_plot(what_if: WhatIf) -> Plot:
    return Plot.of(
        "Cascade from the seeds",
        f"Of {what_if.num_seeds:,} seeds, {what_if.expected_seeds:,.1f} are expected "
        "to join; the other users join along ties.",
        curve_figure(what_if.curve()),
        is_wide=True,
    )


def _likely_table(what_if: WhatIf) -> Table:
    rows = what_if.chances().head(_NUM_LIKELY).iter_rows()
    return Table(
        "Users whom the cascade reaches most often",
        ("user", "share of runs"),
        tuple((user, chance) for user, chance in rows),
        (
            f"contagion: an adopter of mean strength activates {what_if.contagion:.2f} "
            "users on average.",
        ),
    )


def _interval(low: float, high: float) -> str:
    return f"[{low:.3f} {high:.3f}]"


def replication_figure(replication: pl.DataFrame) -> go.Figure:
    """Plots the cumulative participants by day, one curve per challenge.

    Args:
        replication: table of `challenge`, `day`, `new` and `cumulative`.
    """
    figure = go.Figure()
    totals = replication.group_by("challenge").agg(pl.col("cumulative").max())
    totals = totals.sort("cumulative", "challenge", descending=[True, False])
    for number, name in enumerate(totals["challenge"]):
        curve = replication.filter(pl.col("challenge") == name)
        is_named = number < _NUM_NAMED
        figure.add_scatter(
            x=curve["day"].cast(pl.String).to_list(),
            y=curve["cumulative"].to_list(),
            mode="lines",
            name=html_label(name),
            line={"color": PALETTE[number] if is_named else OTHER, "shape": "hv"},
            showlegend=is_named,
        )
    return _set_layout(figure, None, "participants")


def backtest_figure(table: pl.DataFrame, method: str) -> go.Figure:
    """Plots the forecast against the true reach of each challenge, with intervals."""
    predicted = table[f"{method}_predicted"]
    figure = go.Figure()
    ends = [float(min(table["actual"].min(), predicted.min())), 0.0]  # type: ignore[type-var, arg-type]
    ends[1] = float(max(table["actual"].max(), predicted.max()))  # type: ignore[type-var, arg-type]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line=DOTTED, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=table["actual"].to_list(),
        y=predicted.to_list(),
        mode="markers",
        text=[html_label(name) for name in table["challenge"]],
        marker={"color": PALETTE[0], "size": 8},
        error_y={
            "type": "data",
            "array": (table[f"{method}_high"] - predicted).to_list(),
            "arrayminus": (predicted - table[f"{method}_low"]).to_list(),
            "color": GREY,
            "thickness": 1,
        },
        showlegend=False,
    )
    figure.update_xaxes(type="log")
    figure.update_yaxes(type="log")
    return _set_layout(figure, "participants", "forecast, 90 % interval")


def curve_figure(curve: pl.DataFrame) -> go.Figure:
    """Plots the cumulative adopters by step: mean and 90 % interval over the runs.

    Args:
        curve: table of `wave`, `mean`, `low` and `high`.
    """
    waves = curve["wave"].to_list()
    figure = go.Figure()
    for name, fill in (("high", None), ("low", "tonexty")):
        figure.add_scatter(
            x=waves,
            y=curve[name].to_list(),
            mode="lines",
            line={"width": 0},
            fill=fill,
            fillcolor="rgba(0, 114, 178, 0.25)",
            name="90 % of the runs",
            showlegend=fill is not None,
        )
    figure.add_scatter(
        x=waves,
        y=curve["mean"].to_list(),
        mode="lines",
        line={"color": PALETTE[0], "width": 2.5},
        name="mean",
    )
    return _set_layout(figure, "steps after the seeds", "users who have joined")


def _set_layout(figure: go.Figure, x_title: str | None, y_title: str) -> go.Figure:
    return figure.update_layout(
        height=_HEIGHT_PX,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        xaxis_title=x_title,
        yaxis_title=y_title,
        hovermode="closest",
    )
