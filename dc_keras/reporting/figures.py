"""The report's plots, and their curves, as plotly figures without a theme.

The page sets the colours of text, grid and background for the light and dark modes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from sklearn.metrics import precision_recall_curve

from dc_keras.evaluation.metric_tables import challenge_results
from dc_keras.evaluation.metrics import ReliabilityBins, reliability_bins
from dc_keras.evaluation.predictions import SplitPredictions, answers
from dc_keras.evaluation.rankings import rank_lists
from dc_keras.evaluation.result_tables import BAYES, DEEP_CHALLENGER, PAPER_TABLE_II
from dc_keras.evaluation.results import SplitResult
from dc_keras.evaluation.simple_baselines import SIMPLE_BASELINES
from dc_keras.reporting.templating import DOTTED, GREY, html_label

# The points of curves: 0, .01, …, 1.
GRID = np.linspace(0, 1, 101)
_LEAST = 1e-9
# Legible on white and on near-black (contrast above 3 with both).
_COLOURS = ("#d9480f", "#2b7fd4", "#2f9e44", "#9c5ad6", "#b08900", "#d6336c", "#0c8599")
_LABEL_WIDTH = 30
_CURVE_PX = 340
_BAR_PX, _MARGIN_PX = 26, 80
_ROW_PX, _AXIS_PX = 18, 90


def mean_precision(predictions: SplitPredictions, model: str) -> np.ndarray:
    """Returns the precision at the first point that reaches each recall of `GRID`.

    Returns:
        Mean over the folds, without interpolation inside a fold, (num_points,).
    """
    precisions = []
    for fold in predictions.folds:
        test = answers(fold, model, "test")
        precision, recall, _ = precision_recall_curve(test.labels, test.scores)
        # By descending threshold, without the point (0, 1) that scikit-learn adds.
        precision, recall = precision[-2::-1], recall[-2::-1]
        # At recall 0, the point of the first joiner: before it, precision is undefined.
        precisions.append(precision[np.searchsorted(recall, np.maximum(GRID, _LEAST))])
    return np.asarray(np.mean(precisions, axis=0))


def mean_gain(predictions: SplitPredictions, model: str) -> np.ndarray | None:
    """Returns the share of joiners among the best-scored shares of users.

    Returns:
        The share at the points of `GRID`, mean over the challenges of all folds,
        (num_points,); None if no challenge has both labels.
    """
    total, num_lists = np.zeros(len(GRID)), 0
    for fold in predictions.folds:
        test = answers(fold, model, "test")
        lists = rank_lists(test.labels, test.scores, test.challenges)
        if len(lists):
            total += lists.gain(GRID) * len(lists)
            num_lists += len(lists)
    return total / num_lists if num_lists else None


def pooled_reliability(predictions: SplitPredictions, model: str) -> ReliabilityBins:
    """Returns the reliability bins of the test pairs of all folds."""
    tests = [answers(fold, model, "test") for fold in predictions.folds]
    return reliability_bins(
        np.concatenate([test.labels for test in tests]),
        np.concatenate([test.scores for test in tests]),
    )


def seeding_lists(
    predictions: SplitPredictions, model: str, length: int
) -> dict[str, list[dict[str, Any]]]:
    """Returns the best-scored users of each challenge; only test pairs are ranked.

    Args:
        predictions: predictions of one split.
        model: name of the model.
        length: maximum number of users per challenge.

    Returns:
        By name of the challenge, `user_id`, `score` (mean over the folds that test the
        pair) and whether the user `joined`; sorted by score, then by pseudonym.
    """
    tests = [fold.filter(model=model, part="test") for fold in predictions.folds]
    pairs = pl.concat(tests).group_by("challenge", "user_id")
    users = pairs.agg(pl.col("score").mean(), joined=pl.col("label").first() == 1)
    ordered = users.sort(
        "challenge", "score", "user_id", descending=[False, True, False]
    )
    return {
        str(group["challenge"][0]): group.head(length).to_dicts()
        for group in ordered.partition_by("challenge", maintain_order=True)
    }


def main_models(result: SplitResult) -> list[str]:
    """Returns the models that every plot shows by default.

    These are deepChallenger and the strongest simple baseline, if they were evaluated,
    otherwise the model with the highest average precision, and the known truth.
    """
    models = result.models
    main = [m for m in models if m in (DEEP_CHALLENGER, result.strongest)]
    main.sort(key=lambda model: model != DEEP_CHALLENGER)
    if not main:
        others = [model for model in models if model != BAYES]
        main = [max(others or models, key=result.average_precision)]
    return main + [model for model in models if model == BAYES and model not in main]


def _shown_models(result: SplitResult) -> dict[str, bool]:
    """Returns the models of the curves, and whether they are visible by default."""
    main = main_models(result)
    others = [
        model
        for model in result.models
        if model not in main
        and (model.startswith(DEEP_CHALLENGER) or model in PAPER_TABLE_II)
    ]
    return {**dict.fromkeys(main, True), **dict.fromkeys(others, False)}


def _curves(
    result: SplitResult,
    make: Callable[[str], tuple[np.ndarray, np.ndarray] | None],
    mode: str = "lines",
) -> go.Figure:
    """Returns a figure with one line per model; `make` returns x and y."""
    figure = go.Figure()
    for number, (model, is_main) in enumerate(_shown_models(result).items()):
        points = make(model)
        if points is None:
            continue
        figure.add_scatter(
            x=points[0].round(5).tolist(),
            y=points[1].round(5).tolist(),
            mode=mode,
            name=html_label(model, _LABEL_WIDTH),
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
        height=_CURVE_PX,
        margin={"l": 60, "r": 12, "t": 12, "b": 60},
        xaxis={"title": {"text": x}, "zeroline": False},
        yaxis={"title": {"text": y}, "zeroline": False, "automargin": True},
        dragmode=False,  # so that a finger scrolls the page
        hovermode="closest",
    )


def _with_names(
    figure: go.Figure,
    x: str,
    names: Sequence[str],
    row_px: int = _BAR_PX,
    margin_px: int = _MARGIN_PX,
) -> go.Figure:
    """Sets the axes of a figure with one name per line; names may be numbers."""
    lines = sum(html_label(name, _LABEL_WIDTH).count("<br>") + 1 for name in names)
    _with_axes(figure, x, "").update_yaxes(type="category", tickfont={"size": 11})
    return figure.update_layout(height=margin_px + row_px * lines)


def precision_recall_figure(result: SplitResult) -> go.Figure:
    """Plots the precision at each recall, mean over the folds, with the prevalence."""
    predictions = result.predictions
    figure = _curves(result, lambda m: (GRID, mean_precision(predictions, m)))
    prevalence = result.metrics[result.models[0]]["prevalence"]
    figure.add_scatter(
        x=[0, 1], y=[prevalence] * 2, mode="lines", name="prevalence", line=DOTTED
    )
    _with_axes(figure, "recall", "precision")
    return figure.update_yaxes(rangemode="tozero")


def gain_figure(result: SplitResult) -> go.Figure:
    """Plots the share of joiners among the best-scored users, mean over challenges."""

    def make(model: str) -> tuple[np.ndarray, np.ndarray] | None:
        gain = mean_gain(result.predictions, model)
        return None if gain is None else (GRID, gain)

    figure = _curves(result, make)
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", name="chance", line=DOTTED)
    _with_axes(figure, "share of users", "share of joiners among them")
    return figure.update_xaxes(tickformat=".0%").update_yaxes(tickformat=".0%")


def reliability_figure(result: SplitResult) -> go.Figure:
    """Plots the share that joined in bins of the predicted probability."""

    def make(model: str) -> tuple[np.ndarray, np.ndarray]:
        bins = pooled_reliability(result.predictions, model)
        return bins.predicted, bins.observed

    figure = _curves(result, make, "lines+markers")
    shown = [line for line in figure.data if line.visible is True]
    largest = max(max(*line.x, *line.y, 0) for line in shown)
    figure.add_scatter(
        x=[0, largest], y=[0, largest], mode="lines", name="perfect", line=DOTTED
    )
    return _with_axes(figure, "predicted probability", "share that joined")


def interval_figure(result: SplitResult) -> go.Figure:
    """Plots the average precision of every model with its interval, the best on top.

    deepChallenger is highlighted, simple baselines are grey, and the best possible is a
    line.
    """
    models = sorted(result.models, key=result.average_precision)
    if len(models) > 1 and BAYES in models:
        models.remove(BAYES)
    values = np.array([result.average_precision(model) for model in models])
    bounds = np.array([result.interval(model) for model in models])
    figure = go.Figure(
        go.Scatter(
            x=values.round(5).tolist(),
            y=[html_label(model, _LABEL_WIDTH) for model in models],
            mode="markers",
            marker={
                "size": 9,
                "color": [_colour(model) for model in models],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.maximum(bounds[:, 1] - values, 0).round(5).tolist(),
                "arrayminus": np.maximum(values - bounds[:, 0], 0).round(5).tolist(),
                "color": GREY,
            },
            showlegend=False,
        )
    )
    ends = [float(bounds.min()), float(bounds.max())]
    if BAYES in result.models and BAYES not in models:
        best = round(result.average_precision(BAYES), 5)
        ends.append(best)
        label = {"text": "best possible", "yref": "paper", "y": 1, "yanchor": "bottom"}
        figure.add_vline(x=best, line=DOTTED, annotation={**label, "xanchor": "right"})
    _with_names(figure, "average precision", models, _ROW_PX, _AXIS_PX)
    # Set here, because plotly would make room for the annotation.
    room = 0.03 * (max(ends) - min(ends)) or 0.03
    figure.update_xaxes(range=[min(ends) - room, max(ends) + room])
    return figure.update_layout(margin_t=28, margin_b=44)


def _colour(model: str) -> str:
    """Returns the colour of a model among others: ours, learned, or simple."""
    if model.startswith(DEEP_CHALLENGER):
        return _COLOURS[0]
    return GREY if model in SIMPLE_BASELINES else _COLOURS[1]


def challenge_figure(result: SplitResult) -> go.Figure:
    """Plots average precision over prevalence of each challenge for the main models."""
    main = main_models(result)
    shown = [model for model in main if model != BAYES] or main
    results = {m: challenge_results(result.predictions, m) for m in shown}
    ratios = {
        model: {name: r.precision_over_prevalence for name, r in found.items()}
        for model, found in results.items()
    }
    known = {name: r for name, r in ratios[shown[0]].items() if r is not None}
    names = sorted(known, key=lambda name: (known[name], name))
    figure = go.Figure()
    # Plotly draws upwards, so the last bar is on top.
    for model in reversed(shown):
        figure.add_bar(
            x=[ratios[model][name] for name in names],
            y=[html_label(name, _LABEL_WIDTH) for name in names],
            orientation="h",
            name=html_label(model, _LABEL_WIDTH),
            marker={"color": _COLOURS[shown.index(model)]},
        )
    figure.add_vline(x=1, line=DOTTED)
    _with_names(figure, "times chance", names)
    return figure.update_layout(legend={"traceorder": "reversed"})
