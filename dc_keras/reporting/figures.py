"""The report's plots, as plotly figures without colours of a theme.

Names come from data and plotly reads them as HTML, so they are escaped. The page gives
text, grid and background the colours of light or dark.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from dc_keras.escaping import escape_controls
from dc_keras.evaluation.metric_tables import challenge_results
from dc_keras.evaluation.results import Judgement
from dc_keras.evaluation.result_tables import BAYES, DEEP_CHALLENGER, PAPER_TABLE_II
from dc_keras.reporting.curves import (
    GRID,
    mean_gain,
    mean_precision,
    pooled_reliability,
)

# Legible on white and on near-black (contrast above 3 with both).
_COLOURS = ("#d9480f", "#2b7fd4", "#2f9e44", "#9c5ad6", "#b08900", "#d6336c", "#0c8599")
_GREY = "#868e96"
_LABEL_WIDTH = 24
_CURVE_PX, _LEGEND_PX = 340, 20
_BAR_PX, _MARGIN_PX = 26, 130
_CHANCE = {"dash": "dot", "color": _GREY, "width": 1.5}


def main_models(judgement: Judgement) -> list[str]:
    """Returns the models that every plot shows at once.

    deepChallenger and the strongest simple baseline, where they were judged, else the
    model with the best average precision; then the known truth.
    """
    models = judgement.models
    main = [m for m in models if m in (DEEP_CHALLENGER, judgement.strongest)]
    main.sort(key=lambda model: model != DEEP_CHALLENGER)
    if not main:
        others = [model for model in models if model != BAYES]
        main = [max(others or models, key=judgement.average_precision)]
    return main + [model for model in models if model == BAYES and model not in main]


def _shown_models(judgement: Judgement) -> dict[str, bool]:
    """Models of the curves; False for those that the legend has to switch on."""
    main = main_models(judgement)
    others = [
        model
        for model in judgement.models
        if model not in main
        and (model.startswith(DEEP_CHALLENGER) or model in PAPER_TABLE_II)
    ]
    return {**dict.fromkeys(main, True), **dict.fromkeys(others, False)}


def _label(name: str, width: int = _LABEL_WIDTH) -> str:
    """A name from the data, on as many lines as it needs, with no markup."""
    lines = textwrap.wrap(escape_controls(name), width)
    return "<br>".join(html.escape(line) for line in lines)


def _curves(
    judgement: Judgement,
    make: Callable[[str], tuple[np.ndarray, np.ndarray] | None],
    mode: str = "lines",
) -> go.Figure:
    """A line a model; `make` returns x and y."""
    figure = go.Figure()
    for number, (model, is_main) in enumerate(_shown_models(judgement).items()):
        points = make(model)
        if points is None:
            continue
        figure.add_scatter(
            x=points[0].round(5).tolist(),
            y=points[1].round(5).tolist(),
            mode=mode,
            name=_label(model),
            line={
                "color": _COLOURS[number % len(_COLOURS)],
                "width": 2.5,
                "dash": "solid" if number < len(_COLOURS) else "dash",
            },
            marker={"size": 7},
            visible=True if is_main else "legendonly",
        )
    return figure


def _with_axes(figure: go.Figure, x: str, y: str) -> go.Figure:
    return figure.update_layout(
        template="none",
        # On a phone the legend has a line a model.
        height=_CURVE_PX + _LEGEND_PX * len(figure.data),
        margin={"l": 60, "r": 12, "t": 12, "b": 60},
        xaxis={"title": {"text": x}, "zeroline": False},
        yaxis={"title": {"text": y}, "zeroline": False, "automargin": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,  # a finger scrolls the page
        hovermode="closest",
    )


def _with_names(figure: go.Figure, x: str, names: Sequence[str]) -> go.Figure:
    """Axes of a figure with a name a line, upwards; a name may be a number."""
    lines = sum(_label(name).count("<br>") + 1 for name in names)
    _with_axes(figure, x, "").update_yaxes(type="category")
    return figure.update_layout(height=_MARGIN_PX + _BAR_PX * lines)


def precision_recall_figure(judgement: Judgement) -> go.Figure:
    """Precision at each recall, mean of the folds; chance is the prevalence."""
    predictions = judgement.predictions
    figure = _curves(judgement, lambda m: (GRID, mean_precision(predictions, m)))
    prevalence = judgement.metrics[judgement.models[0]]["prevalence"]
    figure.add_scatter(
        x=[0, 1], y=[prevalence] * 2, mode="lines", name="prevalence", line=_CHANCE
    )
    _with_axes(figure, "recall", "precision")
    return figure.update_yaxes(rangemode="tozero")


def gain_figure(judgement: Judgement) -> go.Figure:
    """Share of joiners among the first users of a challenge, mean over challenges."""

    def make(model: str) -> tuple[np.ndarray, np.ndarray] | None:
        gain = mean_gain(judgement.predictions, model)
        return None if gain is None else (GRID, gain)

    figure = _curves(judgement, make)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="chance", line=_CHANCE)
    _with_axes(figure, "share of users asked", "share of joiners reached")
    return figure.update_xaxes(tickformat=".0%").update_yaxes(tickformat=".0%")


def reliability_figure(judgement: Judgement) -> go.Figure:
    """Share that joined in bins of the predicted probability."""

    def make(model: str) -> tuple[np.ndarray, np.ndarray]:
        bins = pooled_reliability(judgement.predictions, model)
        return bins.predicted, bins.observed

    figure = _curves(judgement, make, "lines+markers")
    shown = [line for line in figure.data if line.visible is True]
    largest = max(max(*line.x, *line.y, 0) for line in shown)
    figure.add_scatter(
        x=[0, largest], y=[0, largest], mode="lines", name="perfect", line=_CHANCE
    )
    return _with_axes(figure, "predicted probability", "share that joined")


def interval_figure(judgement: Judgement) -> go.Figure:
    """Average precision of every model with its interval."""
    models = sorted(judgement.models, key=judgement.average_precision)
    main = main_models(judgement)
    values = np.array([judgement.average_precision(model) for model in models])
    bounds = np.array([judgement.interval(model) for model in models])
    figure = go.Figure(
        go.Scatter(
            x=values.round(5).tolist(),
            y=[_label(model) for model in models],
            mode="markers",
            marker={
                "size": 9,
                "color": [
                    _COLOURS[main.index(m)] if m in main else _GREY for m in models
                ],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.maximum(bounds[:, 1] - values, 0).round(5).tolist(),
                "arrayminus": np.maximum(values - bounds[:, 0], 0).round(5).tolist(),
                "color": _GREY,
            },
            showlegend=False,
        )
    )
    return _with_names(figure, "average precision", models)


def challenge_figure(judgement: Judgement) -> go.Figure:
    """Average precision over prevalence of each challenge, two models side by side."""
    main = main_models(judgement)
    shown = [model for model in main if model != BAYES] or main
    results = {m: challenge_results(judgement.predictions, m) for m in shown}
    ratios = {
        model: {name: r.precision_over_prevalence for name, r in found.items()}
        for model, found in results.items()
    }
    names = _ordered_names(ratios[shown[0]])
    figure = go.Figure()
    # Plotly draws upwards: the first model's bar is on top when it comes last.
    for model in reversed(shown):
        figure.add_bar(
            x=[ratios[model][name] for name in names],
            y=[_label(name) for name in names],
            orientation="h",
            name=_label(model),
            marker={"color": _COLOURS[shown.index(model)]},
        )
    figure.add_vline(x=1, line=_CHANCE)
    _with_names(figure, "average precision / prevalence", names)
    return figure.update_layout(legend={"traceorder": "reversed"})


def _ordered_names(ratios: Mapping[str, float | None]) -> Sequence[str]:
    """Challenges that can be judged, the best at the end."""
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    return sorted(known, key=lambda name: (known[name], name))
