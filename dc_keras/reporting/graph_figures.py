"""A plot of a social graph: its users, or its communities if there are many users."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dc_keras.reporting.templating import html_label
from dc_keras.social.graph import Layer
from dc_keras.social.layout import (
    compute_layout,
    connected_part,
    place_communities,
    strongest_edges,
)
from dc_keras.social.model_scores import mean_probabilities, probability_colours
from dc_keras.social.palette import PALETTE, community_colours
from dc_keras.social.survey import Survey

MOST_USERS = 2_000
MOST_COMMUNITIES = 40
_MOST_EDGES = 10_000
_GREY = "#868e96"
_NO_AXIS = {"visible": False, "showgrid": False, "zeroline": False}


def graph_figure(
    survey: Survey,
    most_users: int = MOST_USERS,
    probabilities: np.ndarray | None = None,
) -> go.Figure:
    """Plots the users with edges, or the communities for more than `most_users`.

    Args:
        survey: survey of the graph.
        most_users: maximum number of users with edges that are plotted individually.
        probabilities: probability of each user, NaN if unknown, float64 (num_users,).
            It determines the colours of users and, by its mean, of communities. None
            colours by community.
    """
    connected, part = connected_part(survey.layer)
    if len(connected) > most_users:
        return _community_figure(survey, probabilities)
    membership = survey.communities.membership[connected]
    places = compute_layout(part, membership, seed=survey.seed)
    figure = go.Figure(_draw_edges(part, places))
    strength = part.weights.sum(axis=1)
    sizes = 6 + 18 * np.sqrt(strength / strength.max()) if len(connected) else strength
    users = [survey.graph.users[row] for row in connected]
    known = None if probabilities is None else probabilities[connected]
    colours = (
        community_colours(membership) if known is None else probability_colours(known)
    )
    for group in range(len(PALETTE) + 1):
        rows = np.flatnonzero(np.minimum(membership, len(PALETTE)) == group)
        if len(rows):
            of_users = [survey.names[membership[row]] for row in rows]
            figure.add_scatter(
                x=places[rows, 0].tolist(),
                y=places[rows, 1].tolist(),
                mode="markers",
                name=_group_name(survey.names, group),
                showlegend=known is None,
                text=[
                    f"{html_label(users[row])}<br>{html_label(name)}"
                    + _probability_line(known, int(row))
                    for row, name in zip(rows, of_users, strict=True)
                ],
                hoverinfo="text",
                marker=_marker(sizes[rows], [colours[row] for row in rows]),
            )
    return _set_layout(figure)


def _community_figure(survey: Survey, probabilities: np.ndarray | None) -> go.Figure:
    membership = survey.communities.membership
    # Communities of one user are not plotted.
    count = min(MOST_COMMUNITIES, max(survey.table().height, 1))
    between, places, sizes = place_communities(
        survey.layer, membership, count, seed=survey.seed
    )
    figure = go.Figure(_draw_edges(between, places))
    known, colours = None, community_colours(np.arange(count))
    if probabilities is not None:
        known = mean_probabilities(probabilities, membership)[:count]
        colours = probability_colours(known)
    for number, colour in enumerate(colours):
        figure.add_scatter(
            x=[places[number, 0]],
            y=[places[number, 1]],
            mode="markers",
            name=html_label(survey.names[number]),
            showlegend=known is None and number < len(PALETTE),
            text=[
                f"{html_label(survey.names[number])}<br>{sizes[number]:,} users"
                + _probability_line(known, number)
            ],
            hoverinfo="text",
            marker=_marker(10 + 50 * np.sqrt(sizes[[number]] / sizes.max()), [colour]),
        )
    return _set_layout(figure)


def _draw_edges(layer: Layer, places: np.ndarray) -> go.Scatter:
    """Returns the strongest edges as one line with gaps."""
    rows, columns, _ = strongest_edges(layer, _MOST_EDGES)
    ends = np.stack([places[rows], places[columns]], axis=1)
    gaps = np.full((len(rows), 1, 2), np.nan)
    points = np.concatenate([ends, gaps], axis=1).reshape(-1, 2)
    x, y = (
        [None if np.isnan(value) else round(value, 4) for value in column.tolist()]
        for column in points.T
    )
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        opacity=float(np.clip(12 / max(len(rows), 1) ** 0.5, 0.12, 0.6)),
        line={"color": _GREY, "width": 1},
    )


def _probability_line(probabilities: np.ndarray | None, row: int) -> str:
    """Returns a line with the probability of joining, or "" if it is unknown."""
    if probabilities is None or np.isnan(probabilities[row]):
        return ""
    return f"<br>joins with probability {probabilities[row]:.3f}"


def _marker(sizes: np.ndarray, colours: Sequence[str]) -> dict[str, object]:
    return {
        "size": sizes.round(2).tolist(),
        # A single colour is also used in the legend.
        "color": colours[0] if len(set(colours)) == 1 else list(colours),
        "opacity": 0.95,
        "line": {"color": "#ffffff", "width": 0.7},
    }


def _set_layout(figure: go.Figure) -> go.Figure:
    return figure.update_layout(
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        xaxis=_NO_AXIS,
        yaxis=_NO_AXIS,
        hovermode="closest",
        dragmode="zoom",
    )


def _group_name(names: Sequence[str], group: int) -> str:
    return html_label(names[group]) if group < len(PALETTE) else "smaller communities"
