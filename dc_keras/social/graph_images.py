"""Draws the users or the communities of a graph as PNG and SVG (extra `social`).

A picture of more than some thousand users is unreadable, so the communities of larger
graphs are drawn instead, as discs with the weights between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dc_keras.errors import DataError
from dc_keras.social.graph import Layer
from dc_keras.social.graph_view import OTHER, PALETTE, community_colours
from dc_keras.social.layout import (
    compute_layout,
    connected_part,
    place_communities,
    strongest_edges,
)
from dc_keras.social.model_scores import mean_probabilities, probability_colours
from tfrecords.progress import replacing

try:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
except ImportError as error:
    raise DataError(
        "pictures need matplotlib: pip install 'dc_keras[social]'"
    ) from error

PICTURES = ("png", "svg")
MOST_USERS = 3_000
# The maximum number of communities in a picture.
MOST_COMMUNITIES = 40
_MOST_EDGES = 20_000
_INCHES = (11.0, 8.0)
_GROUND, _INK, _MUTED = "#FFFFFF", "#1B1F23", "#57606A"
_NAME_LENGTH = 38
# Equal graphs give equal bytes: no random ids, and text as outlines.
_STYLE = {
    "svg.hashsalt": "dc_keras",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
}


def draw_graph(
    layer: Layer,
    membership: np.ndarray,
    names: Sequence[str],
    *,
    title: str,
    most_users: int = MOST_USERS,
    seed: int = 0,
    probabilities: np.ndarray | None = None,
) -> Figure:
    """Draws the users of a layer, or its communities if there are too many users.

    Args:
        layer: weighted edges. Users without edges are not drawn; the title states their
            number.
        membership: community of each user, numbered from 0 by descending size, int64
            (num_users,).
        names: names of the communities.
        title: title of the picture.
        most_users: maximum number of users with edges that are drawn individually.
        seed: seed of the layout.
        probabilities: probability of each user, NaN if unknown, float64 (num_users,).
            It determines the colours of users and, by its mean, of communities. None
            colours by community.
    """
    connected, part = connected_part(layer)
    left_out = len(membership) - len(connected)
    note = f"; {left_out:,} without an edge are not drawn" if left_out else ""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_INCHES, facecolor=_GROUND)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.01, 0.02, 0.70, 0.88))
        axes.set_axis_off()
        axes.set_aspect("equal", adjustable="datalim")
        known = None if probabilities is None else probabilities[connected]
        if len(connected) > most_users:
            shown = _draw_communities(
                axes, part, membership[connected], names, seed, known
            )
            subtitle = (
                f"the {shown} largest communities of {len(connected):,} users{note}"
            )
        else:
            _draw_users(axes, part, membership[connected], seed, known)
            subtitle = f"{len(connected):,} users, {layer.num_edges:,} edges{note}"
        figure.text(0.02, 0.95, _short(title, 80), size=16, color=_INK, weight="bold")
        figure.text(0.02, 0.915, subtitle, size=10, color=_MUTED)
        if known is None:
            _draw_legend(figure, membership[connected], names)
        else:
            _draw_scale(figure, known)
    return figure


def write_pictures(
    figure: Figure, directory: Path, stem: str, formats: Sequence[str]
) -> list[Path]:
    """Writes a figure in formats of `PICTURES`; each file is written atomically.

    Equal figures give equal bytes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name in formats:
        path = directory / f"{stem}.{name}"
        undated = {"Date": None} if name == "svg" else {"Software": None}
        with mpl.rc_context(_STYLE), replacing(path) as temporary:
            figure.savefig(temporary, format=name, dpi=160, metadata=undated)
        written.append(path)
    return written


def _draw_users(
    axes: Any,
    layer: Layer,
    membership: np.ndarray,
    seed: int,
    probabilities: np.ndarray | None,
) -> None:
    places = compute_layout(layer, membership, seed=seed)
    colours = (
        community_colours(membership)
        if probabilities is None
        else probability_colours(probabilities)
    )
    _draw_edges(axes, layer, places, colours)
    strength = layer.weights.sum(axis=1)
    share = strength / strength.max() if len(strength) else strength
    crowd = min(1.0, 30 / max(len(places), 1) ** 0.5)
    # The strongest users are drawn last, above the others.
    order = np.argsort(strength, kind="stable")
    axes.scatter(
        *places[order].T,
        s=(14 + 240 * share[order]) * crowd,
        c=[colours[row] for row in order],
        edgecolors=_GROUND,
        linewidths=0.6,
        zorder=2,
    )


def _draw_communities(
    axes: Any,
    layer: Layer,
    membership: np.ndarray,
    names: Sequence[str],
    seed: int,
    probabilities: np.ndarray | None,
) -> int:
    """Draws communities as discs with an area by size, and returns their number."""
    count = min(MOST_COMMUNITIES, int(membership.max()) + 1)
    between, places, sizes = place_communities(layer, membership, count, seed=seed)
    colours = community_colours(np.arange(count))
    if probabilities is not None:
        means = mean_probabilities(probabilities, membership)[:count]
        colours = probability_colours(means)
    _draw_edges(axes, between, places, colours)
    areas = 4_000 * sizes / sizes.max()
    axes.scatter(
        *places.T, s=areas, c=colours, edgecolors=_GROUND, linewidths=1, zorder=2
    )
    for number in range(min(len(PALETTE), count)):
        axes.annotate(
            _short(names[number], 24),
            places[number],
            xytext=(0, -(areas[number] ** 0.5) / 2 - 9),
            textcoords="offset points",
            ha="center",
            size=8,
            color=_INK,
            bbox={"facecolor": _GROUND, "alpha": 0.75, "edgecolor": "none", "pad": 1},
            zorder=3,
        )
    axes.margins(0.12)
    return count


def _draw_edges(
    axes: Any, layer: Layer, places: np.ndarray, colours: Sequence[str]
) -> None:
    # In a dense graph only the strongest edges are drawn, the strongest above others.
    rows, columns, weights = (v[::-1] for v in strongest_edges(layer, _MOST_EDGES))
    share = np.sqrt(weights / weights.max()) if len(weights) else weights
    axes.add_collection(
        LineCollection(
            list(np.stack([places[rows], places[columns]], axis=1)),
            colors=[
                colours[row] if colours[row] == colours[column] else "#A9B1B9"
                for row, column in zip(rows, columns, strict=True)
            ],
            linewidths=0.3 + 1.7 * share,
            alpha=float(np.clip(40 / max(len(rows), 1) ** 0.5, 0.12, 0.5)),
            zorder=1,
        )
    )


def _draw_scale(figure: Any, probabilities: np.ndarray) -> None:
    """Draws the legend of the colours of probabilities."""
    known = probabilities[~np.isnan(probabilities)]
    most = float(known.max(initial=0.0))
    steps = np.array([most, most / 2, 0.0])
    handles = [
        _dot(colour, f"{step:.3f}")
        for step, colour in zip(steps, probability_colours(steps), strict=True)
    ]
    if len(known) < len(probabilities):
        handles.append(_dot(OTHER, f"unknown ({len(probabilities) - len(known):,})"))
    _place_legend(figure, handles, "Probability of joining")


def _draw_legend(figure: Any, membership: np.ndarray, names: Sequence[str]) -> None:
    sizes = np.bincount(membership, minlength=len(names))
    handles = [
        _dot(colour, f"{_short(names[number])} ({sizes[number]:,})")
        for number, colour in enumerate(PALETTE[: len(names)])
        if sizes[number]
    ]
    rest = sizes[len(PALETTE) :]
    if rest.any():
        words = f"{int((rest > 0).sum()):,} smaller communities ({rest.sum():,})"
        handles.append(_dot(OTHER, words))
    if handles:
        _place_legend(figure, handles, "Communities (users)")


def _place_legend(figure: Any, handles: Sequence[Any], title: str) -> None:
    figure.legend(
        handles=handles,
        title=title,
        loc="upper left",
        bbox_to_anchor=(0.71, 0.89),
        frameon=False,
        fontsize=8.5,
        title_fontsize=10,
        alignment="left",
        labelspacing=0.9,
    )


def _dot(colour: str, label: str) -> Any:
    return Line2D(
        [], [], marker="o", linestyle="", color=colour, markersize=8, label=label
    )


def _short(text: str, length: int = _NAME_LENGTH) -> str:
    """Returns one line of printable characters, truncated with an ellipsis."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= length else line[: length - 1] + "…"
