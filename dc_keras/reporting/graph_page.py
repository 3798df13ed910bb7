"""The page of a social graph and its plot: users, communities, their isolation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go

from dc_keras.evaluation.result_tables import Cell, Table, cell_text
from dc_keras.reporting.templating import GREY, Plot, html_label, render_template
from dc_keras.social.graph import Layer
from dc_keras.social.graph_view import PALETTE, community_colours
from dc_keras.social.layout import (
    compute_layout,
    connected_part,
    place_communities,
    strongest_edges,
)
from dc_keras.social.model_scores import mean_probabilities, probability_colours
from dc_keras.social.survey import Survey

MOST_USERS = 2_000
MOST_COMMUNITIES = 40
_MOST_EDGES = 10_000
_NO_AXIS = {"visible": False, "showgrid": False, "zeroline": False}
_MOST_ROWS = 30
_NUM_CENTRAL = 20


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
                name=(
                    html_label(survey.names[group])
                    if group < len(PALETTE)
                    else "smaller communities"
                ),
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
        line={"color": GREY, "width": 1},
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


def render_graph_page(
    survey: Survey,
    title: str,
    probabilities: np.ndarray | None = None,
    *,
    is_synthetic: bool = False,
    most_users: int = MOST_USERS,
) -> str:
    """Returns the self-contained page as HTML.

    Args:
        survey: survey of the graph.
        title: title of the page.
        probabilities: probability of each user for the colours of the plot, NaN if
            unknown, float64 (num_users,).
        is_synthetic: whether the data are simulated.
        most_users: maximum number of users that are plotted individually.
    """
    figure = graph_figure(survey, most_users, probabilities)
    colours = "colours are communities"
    if probabilities is not None:
        colours = "darker users are more likely to join, grey is unknown"
    return render_template(
        "graph.html.jinja",
        title=title,
        is_synthetic=is_synthetic,
        plot=Plot.of(
            "Users and communities",
            f"A dot is a user, or a community in a large graph; {colours}. Drag a box "
            "to zoom, double-click to reset the zoom, hover over a dot for its name.",
            figure,
            is_wide=True,
        ),
        layers=_layer_table(survey),
        communities=_community_table(survey),
        isolation=_isolation_table(survey),
        central=_user_table(survey),
    )


def _layer_table(survey: Survey) -> Table:
    layers = [*survey.graph.layers]
    if survey.layer.name not in [layer.name for layer in layers]:
        layers.append(survey.layer)
    rows: list[tuple[Cell, ...]] = []
    for layer in layers:
        degrees = layer.undirected().weights.indptr
        num_connected = int((degrees[1:] > degrees[:-1]).sum())
        rows.append(
            (
                layer.name,
                "directed" if layer.is_directed else "undirected",
                f"{layer.num_edges:,}",
                f"{num_connected:,}",
            )
        )
    return Table(
        f"Ties of {len(survey.graph.users):,} users",
        ("layer", "direction", "ties", "users with a tie"),
        tuple(rows),
        (f"The rest of the page describes the layer “{survey.layer.name}”.",),
    )


def _community_table(survey: Survey) -> Table:
    table = survey.table()
    communities, stability = survey.communities, survey.stability
    rows = tuple(
        (row["name"], f"{row['community']}", f"{row['users']:,}", row["central"][0])
        for row in table.head(_MOST_ROWS).iter_rows(named=True)
    )
    return Table(
        f"The {len(rows)} largest communities",
        ("distinctive", "no.", "users", "most central user"),
        rows,
        (
            f"{table.height:,} communities of at least two users; "
            f"{communities.num_alone:,} users without a community.",
            f"Leiden algorithm; modularity {communities.modularity:.3f}. The partitions"
            f" of {stability.num_runs} seeds have a mean adjusted Rand index of "
            f"{stability.ari:.3f} (1: equal, 0: chance) and a mean normalised mutual "
            f"information of {stability.nmi:.3f}.",
            "distinctive: hashtags and sounds that are more frequent in the community "
            "than in others (log-odds with a Dirichlet prior, z of at least 1.96).",
        ),
    )


def _isolation_table(survey: Survey) -> Table:
    rows = tuple(_isolation_rows(survey))
    return Table(
        "Isolation of communities",
        ("distinctive", "no.", "E–I index", "by chance", "below chance by"),
        rows,
        (
            "E–I index: (external − internal) / (external + internal) weight of ties; "
            "−1: only internal ties, 1: only external ties. By chance: the expected "
            "index of random ties, which is lower for large communities.",
            "Assortativity of the communities: "
            f"{cell_text(_known(survey.isolation.assortativity))} (1: no ties between "
            "communities, 0: chance).",
        ),
    )


def _isolation_rows(survey: Survey) -> Iterator[tuple[Cell, ...]]:
    yield ("all ties", None, _known(survey.isolation.overall), None, None)
    for row in survey.table().head(_MOST_ROWS).iter_rows(named=True):
        index, expected = row["ei_index"], row["ei_expected"]
        yield (
            row["name"],
            f"{row['community']}",
            _known(index),
            _known(expected),
            _known(expected - index),
        )


def _user_table(survey: Survey) -> Table:
    users = survey.users().sort(
        ["strength", "user_id"], descending=[True, False], maintain_order=True
    )
    is_exact = bool(users["betweenness_is_exact"].all())
    return Table(
        "The users with the strongest ties",
        ("user", "community", "degree", "strength", "betweenness", "core"),
        tuple(
            (
                row["user_id"],
                f"{row['community']}",
                f"{row['degree']}",
                row["strength"],
                f"{row['betweenness']:,.0f}",
                f"{row['core']}",
            )
            for row in users.head(_NUM_CENTRAL).iter_rows(named=True)
        ),
        (
            "degree: number of neighbours. strength: weight of all ties. betweenness: "
            "number of shortest paths between other users through the user"
            f"{'' if is_exact else ', estimated from a sample'}. core: core number.",
        ),
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
