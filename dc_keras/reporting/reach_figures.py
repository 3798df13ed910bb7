"""Plots of the spread of challenges: by day, forecasts, and from seeds."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl

from dc_keras.reporting.templating import html_label
from dc_keras.social.palette import OTHER, PALETTE

# The number of coloured curves; more colours could not be distinguished.
_NUM_NAMED = len(PALETTE)
_HEIGHT_PX = 360
_GREY = "#868e96"
_DOTTED = {"dash": "dot", "color": _GREY, "width": 1.5}


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
        x=ends, y=ends, mode="lines", line=_DOTTED, hoverinfo="skip", showlegend=False
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
            "color": _GREY,
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
